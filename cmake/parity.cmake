# Comparison with ONNX Runtime on networks of known architecture with random weights. Needs a Python with onnx,
# onnxruntime and numpy: MIEN_PYTHON, or build/venv, or build/bench-venv, or the system's; skipped where it lacks them.
set(MIEN_PYTHON "$ENV{MIEN_PYTHON}" CACHE STRING "Python with onnx and onnxruntime, for the parity tests")
set(parity_python ${MIEN_PYTHON})
if(NOT parity_python)
  find_program(parity_found NAMES python3 PATHS ${CMAKE_SOURCE_DIR}/build/venv/bin ${CMAKE_SOURCE_DIR}/build/bench-venv/bin NO_DEFAULT_PATH)
  find_program(parity_found NAMES python3)
  set(parity_python ${parity_found})
endif()
if(parity_python)
  add_test(NAME parity_nets
    COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 ${parity_python}
      ${CMAKE_SOURCE_DIR}/tests/parity/check_nets.py $<TARGET_FILE:mien_shared>)
  set_tests_properties(parity_nets PROPERTIES LABELS slow SKIP_RETURN_CODE 77 TIMEOUT 900)
endif()

# The real models on real pictures; skipped without ../shared or the packages (`make parity` sets them up).
find_program(MIEN_PYTHON3 python3)
if(MIEN_PYTHON3 AND CMAKE_BUILD_TYPE STREQUAL "Release")
  add_test(NAME parity_models
    COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 MIEN_LIB=$<TARGET_FILE:mien_shared> ${MIEN_PYTHON3}
      ${CMAKE_SOURCE_DIR}/tests/parity/check_models.py)
  set_tests_properties(parity_models PROPERTIES LABELS slow SKIP_RETURN_CODE 77 TIMEOUT 900)
endif()

# Evaluation against figures computed by other means; with scikit-learn where the Python has it.
if(TARGET mien AND parity_python AND NOT CMAKE_CROSSCOMPILING)
  add_test(NAME parity_eval COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 ${parity_python}
    ${CMAKE_SOURCE_DIR}/tests/parity/check_eval.py $<TARGET_FILE:mien>)
  set_tests_properties(parity_eval PROPERTIES TIMEOUT 300)
endif()

# The tables of the documentation are those that docs/data gives.
if(MIEN_PYTHON3)
  add_test(NAME docs_tables COMMAND ${CMAKE_COMMAND} -E env PYTHONDONTWRITEBYTECODE=1 ${MIEN_PYTHON3}
    ${CMAKE_SOURCE_DIR}/bench/tables.py --check)
endif()

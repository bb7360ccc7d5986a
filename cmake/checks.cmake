# Tests of the tree and of the build itself: scripts that read the source, the symbol list, the headers, the install.
function(mien_script_test name)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${MIEN_TEST_TIMEOUT})
endfunction()

mien_script_test(check_layers ${CMAKE_SOURCE_DIR}/scripts/check_layers)
mien_script_test(check_style ${CMAKE_SOURCE_DIR}/scripts/check_style)
mien_script_test(check_format ${CMAKE_SOURCE_DIR}/scripts/check_format)
mien_script_test(check_headers ${CMAKE_SOURCE_DIR}/scripts/check_headers ${CMAKE_C_COMPILER})
if(NOT MIEN_SANITIZE AND NOT CMAKE_CROSSCOMPILING)
  mien_script_test(check_symbols ${CMAKE_SOURCE_DIR}/scripts/check_symbols $<TARGET_FILE:mien_shared>)
  mien_script_test(check_install ${CMAKE_SOURCE_DIR}/scripts/check_install ${CMAKE_BINARY_DIR} ${CMAKE_C_COMPILER})
  mien_script_test(check_readme ${CMAKE_SOURCE_DIR}/scripts/check_readme $<TARGET_FILE:mien> ${CMAKE_C_COMPILER})
endif()

# ---- examples: each a program over the public headers alone, run on two photographs ----
file(GLOB EXAMPLE_SOURCES CONFIGURE_DEPENDS examples/*.c)
foreach(f IN LISTS EXAMPLE_SOURCES)
  get_filename_component(name ${f} NAME_WE)
  add_executable(example_${name} ${f})
  set_target_properties(example_${name} PROPERTIES OUTPUT_NAME ${name} C_STANDARD 99
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/examples)
  target_link_libraries(example_${name} PRIVATE mien_static mien_flags)
  target_compile_options(example_${name} PRIVATE -pedantic)
endforeach()
if(EXAMPLE_SOURCES)
  mien_script_test(run_examples ${CMAKE_SOURCE_DIR}/tests/examples/run ${CMAKE_BINARY_DIR}/examples)
endif()

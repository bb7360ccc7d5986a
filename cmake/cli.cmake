# Tests of the program: commands with their expected stdout, stderr and exit code (tests/cli/*.case).
find_program(MIEN_PYTHON3 python3)
file(GLOB CLI_CASES CONFIGURE_DEPENDS tests/cli/*.case)
foreach(f IN LISTS CLI_CASES)
  get_filename_component(name ${f} NAME_WE)
  if(TARGET mien AND MIEN_PYTHON3 AND NOT CMAKE_CROSSCOMPILING)
    add_test(NAME cli_${name} COMMAND ${MIEN_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/cli/run $<TARGET_FILE:mien>
      ${CMAKE_SOURCE_DIR}/../shared ${f})
    set_tests_properties(cli_${name} PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${MIEN_TEST_TIMEOUT})
  endif()
endforeach()
# Runs of training that meet trouble: bad data, full disks, kills.
if(TARGET mien AND MIEN_PYTHON3 AND NOT CMAKE_CROSSCOMPILING)
  add_test(NAME train_runs COMMAND ${MIEN_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/train/run $<TARGET_FILE:mien>
    ${CMAKE_SOURCE_DIR}/samples)
  set_tests_properties(train_runs PROPERTIES TIMEOUT ${MIEN_TEST_TIMEOUT})
endif()
# What is asked on a terminal.
if(TARGET mien AND MIEN_PYTHON3 AND NOT CMAKE_CROSSCOMPILING)
  add_test(NAME cli_terminal COMMAND ${MIEN_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/cli/terminal $<TARGET_FILE:mien>
    ${CMAKE_SOURCE_DIR}/samples)
  set_tests_properties(cli_terminal PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT ${MIEN_TEST_TIMEOUT})
endif()

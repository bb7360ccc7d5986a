# The page's files as data in the program: every file of web/ becomes a row of web_files[] (server/web_files.h). Their hashes are
# their ETags, so a change of a file configures anew.
file(GLOB WEB_FILES CONFIGURE_DEPENDS web/*.html web/*.css web/*.js web/*.json web/*.svg)
set(WEB_DIR ${CMAKE_BINARY_DIR}/generated/web)
set(assembly "/* Written by cmake/web.cmake. */\n    .section .rodata\n")
set(declarations "")
set(rows "")
set(n 0)
foreach(f IN LISTS WEB_FILES)
  get_filename_component(name ${f} NAME)
  get_filename_component(ending ${f} LAST_EXT)
  string(REGEX MATCH "^.(html|css|js|json|svg)$" known "${ending}")
  set(type_html "text/html; charset=utf-8")
  set(type_css "text/css; charset=utf-8")
  set(type_js "text/javascript; charset=utf-8")
  set(type_json "application/json")
  set(type_svg "image/svg+xml")
  file(SHA256 ${f} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  file(SIZE ${f} bytes)
  string(APPEND declarations "extern const uint8_t web_file_${n}[];\n")
  string(APPEND assembly "    .globl web_file_${n}\n    .hidden web_file_${n}\n    .balign 16\nweb_file_${n}:\n    .incbin \"${f}\"\n")
  string(APPEND rows "    { \"${name}\", \"${type_${CMAKE_MATCH_1}}\", \"\\\"${hash}\\\"\", web_file_${n}, ${bytes} },\n")
  math(EXPR n "${n} + 1")
endforeach()
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${WEB_FILES})
string(APPEND assembly "    .section .note.GNU-stack,\"\",%progbits\n")
file(CONFIGURE OUTPUT ${WEB_DIR}/web_data.S CONTENT "${assembly}" @ONLY)
file(CONFIGURE OUTPUT ${WEB_DIR}/web_files.c CONTENT "/* Written by cmake/web.cmake. */
#include \"web_files.h\"

${declarations}
const web_file web_files[] = {
${rows}    { \"\", \"\", \"\", 0, 0 },
};
const size_t web_n_files = ${n};
" @ONLY)
set_source_files_properties(${WEB_DIR}/web_data.S PROPERTIES OBJECT_DEPENDS "${WEB_FILES}")
add_library(mien_web OBJECT ${WEB_DIR}/web_data.S)

# The models compiled into the library: every models/builtin/NAME.mien becomes read-only data, aligned to 64 bytes so
# that its tensors are used where they lie, and a row of the table mien__builtins (src/registry/registry.h). `.incbin`
# takes the bytes as they are on any machine GNU as or clang assembles for. An empty folder gives an empty table.
file(GLOB BUILTIN_MODELS CONFIGURE_DEPENDS models/builtin/*.mien)
set(BUILTIN_DIR ${CMAKE_BINARY_DIR}/generated/builtin)
set(assembly "/* Written by cmake/builtin.cmake. */\n    .section .rodata\n")
set(declarations "")
set(rows "")
foreach(f IN LISTS BUILTIN_MODELS)
  get_filename_component(name ${f} NAME_WLE)
  if(NOT name MATCHES "^[a-z0-9][a-z0-9_-]*$")
    message(FATAL_ERROR "${f}: the name of a built-in model has only lower-case letters, digits, - and _")
  endif()
  string(REPLACE "-" "_" symbol "mien__builtin_${name}")
  foreach(s IN ITEMS ${symbol} ${symbol}_end)
    string(APPEND declarations "extern const uint8_t ${s}[];\n")
    string(APPEND assembly "    .globl ${s}\n    .hidden ${s}\n")
  endforeach()
  string(APPEND assembly "    .balign 64\n${symbol}:\n    .incbin \"${f}\"\n${symbol}_end:\n")
  string(APPEND rows "    { \"${name}\", ${symbol}, ${symbol}_end },\n")
endforeach()
string(APPEND assembly "    .section .note.GNU-stack,\"\",%progbits\n")
file(CONFIGURE OUTPUT ${BUILTIN_DIR}/builtin.S CONTENT "${assembly}" @ONLY)
file(CONFIGURE OUTPUT ${BUILTIN_DIR}/builtin.c CONTENT "/* Written by cmake/builtin.cmake. */
#include \"registry/registry.h\"

${declarations}
const mien__builtin mien__builtins[] = {
${rows}    { NULL, NULL, NULL },
};
" @ONLY)
enable_language(ASM)
set_source_files_properties(${BUILTIN_DIR}/builtin.S PROPERTIES OBJECT_DEPENDS "${BUILTIN_MODELS}")
# Apart from the C sources: none of their flags means anything to an assembler.
add_library(mien_builtin OBJECT ${BUILTIN_DIR}/builtin.S)

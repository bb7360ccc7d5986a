# Converts the models of ../shared/models, where that folder exists, into models/NAME.mien beside the program, which
# looks there whatever the working folder. One file per row: name, file of the source, weights beside it.
set(MODEL_ROWS
  "mobilefacenet:mobilefacenet_foamliu.onnx:"
  "face-reidentification-retail-0095:omz/face-reidentification-retail-0095.xml:omz/face-reidentification-retail-0095.bin"
  "yunet_n_dynamic:yunet_n_dynamic.onnx:"
  "yunet_n:yunet_n_640_640.onnx:"
  "yunet_s:yunet_s_640_640.onnx:"
  "scrfd_2.5g:scrfd_2.5g_bnkps.onnx:"
  "landmarks-regression-retail-0009:omz/landmarks-regression-retail-0009.xml:omz/landmarks-regression-retail-0009.bin"
  "open-closed-eye:omz/open-closed-eye.onnx:")
set(MODEL_DIR ${CMAKE_SOURCE_DIR}/../shared/models)
set(MODEL_FILES "")
if(TARGET mien AND EXISTS ${CMAKE_SOURCE_DIR}/cli/cmd_model.c AND NOT CMAKE_CROSSCOMPILING)
  foreach(row IN LISTS MODEL_ROWS)
    string(REPLACE ":" ";" row "${row}")
    list(GET row 0 name)
    list(GET row 1 source)
    list(GET row 2 weights)
    if(EXISTS ${MODEL_DIR}/${source})
      set(depends ${MODEL_DIR}/${source})
      if(weights)
        list(APPEND depends ${MODEL_DIR}/${weights})
      endif()
      set(out ${CMAKE_BINARY_DIR}/models/${name}.mien)
      add_custom_command(OUTPUT ${out}
        COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/models
        COMMAND mien model import ${MODEL_DIR}/${source} --out ${out}
        DEPENDS mien ${depends} COMMENT "Converting model ${name}" VERBATIM)
      list(APPEND MODEL_FILES ${out})
    endif()
  endforeach()
endif()
add_custom_target(models ALL DEPENDS ${MODEL_FILES})

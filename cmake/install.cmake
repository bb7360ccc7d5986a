# What `cmake --install` puts where: headers, the libraries, the program with its two well-known other names,
# the pkg-config file, manual page and completions (written by the program itself), converted models.

# The pkg-config file finds its prefix from where it lies, so that `--prefix` may be given when installing.
file(RELATIVE_PATH PC_TO_PREFIX "/p/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/p")
set(PC_REQUIRES_PRIVATE "libjpeg libpng expat libprotobuf-c libsodium sqlite3 jansson")
foreach(opt IN ITEMS WEBP:libwebpdemux FREETYPE:freetype2)
  string(REPLACE ":" ";" opt ${opt})
  list(GET opt 0 name)
  list(GET opt 1 module)
  if(${name}_FOUND)
    string(APPEND PC_REQUIRES_PRIVATE " ${module}")
  endif()
endforeach()
configure_file(cmake/mien.pc.in mien.pc @ONLY)
configure_file(cmake/mien_train.pc.in mien_train.pc @ONLY)

install(TARGETS mien_static mien_shared mien_train
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/mien DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES ${CMAKE_BINARY_DIR}/mien.pc ${CMAKE_BINARY_DIR}/mien_train.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE THIRD_PARTY.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY ${CMAKE_BINARY_DIR}/models DESTINATION ${CMAKE_INSTALL_DATADIR}/mien OPTIONAL
  FILES_MATCHING PATTERN "*.mien" PATTERN "scrfd*" EXCLUDE) # weights for research only stay at home

if(TARGET mien)
  install(TARGETS mien RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  if(NOT CMAKE_CROSSCOMPILING AND NOT MIEN_SANITIZE)
    install(CODE "
      set(dest \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\")
      foreach(name face_recognition face_detection)
        file(CREATE_LINK mien \"\${dest}/${CMAKE_INSTALL_BINDIR}/\${name}\" SYMBOLIC)
      endforeach()
      file(MAKE_DIRECTORY \"\${dest}/${CMAKE_INSTALL_MANDIR}/man1\"
        \"\${dest}/${CMAKE_INSTALL_DATADIR}/bash-completion/completions\"
        \"\${dest}/${CMAKE_INSTALL_DATADIR}/zsh/site-functions\"
        \"\${dest}/${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d\")
      function(write_page path)
        execute_process(COMMAND \"${CMAKE_BINARY_DIR}/mien\" \${ARGN} OUTPUT_FILE \"\${dest}/\${path}\"
          RESULT_VARIABLE rc)
        if(NOT rc EQUAL 0)
          message(FATAL_ERROR \"mien \${ARGN} failed\")
        endif()
      endfunction()
      write_page(${CMAKE_INSTALL_MANDIR}/man1/mien.1 help --man)
      write_page(${CMAKE_INSTALL_DATADIR}/bash-completion/completions/mien completion bash)
      write_page(${CMAKE_INSTALL_DATADIR}/zsh/site-functions/_mien completion zsh)
      write_page(${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d/mien.fish completion fish)
    ")
  endif()
endif()

# The server: HTTP layer, API and page. Built where libmicrohttpd and GnuTLS are found; without them `mien serve` says so.
pkg_check_modules(MICROHTTPD IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(GNUTLS IMPORTED_TARGET gnutls)
if(MICROHTTPD_FOUND AND GNUTLS_FOUND)
  include(cmake/web.cmake)
  file(GLOB SERVER_SOURCES CONFIGURE_DEPENDS server/*.c)
  add_library(mien_server STATIC ${SERVER_SOURCES} ${WEB_DIR}/web_files.c $<TARGET_OBJECTS:mien_web>)
  target_include_directories(mien_server PRIVATE include server)
  target_link_libraries(mien_server PUBLIC mien_train PkgConfig::MICROHTTPD PkgConfig::GNUTLS PkgConfig::JANSSON
    PkgConfig::SODIUM PkgConfig::SQLITE Threads::Threads PRIVATE mien_flags)
endif()

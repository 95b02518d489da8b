# Debian packages: the library, what programs are built with, and with MIMI_TOOL the tool.
#
#     cmake -S bindings/cpp -B target/deb -DCMAKE_INSTALL_PREFIX=/usr -DMIMI_TOOL=ON
#     cmake --build target/deb && (cd target/deb && cpack -G DEB)

# cargo builds the library for itself and for the tool in turn, so that asking it again would build both again
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ${MIMI_TOOL})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR "The libmimi developers")
set(CPACK_PACKAGE_CONTACT "The libmimi developers <libmimi@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX "/usr")
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/packages")
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/strip.cmake")
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL library development)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# named after the SONAME, so that several can be installed
set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME "libmimi${mimi_abi}")
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "neural speech codec Mimi, shared library
24 kHz speech becomes 12.5 frames a second of up to 32 codes, and codes become
speech again, in streams of any length on one thread each.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libmimi-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libmimi${mimi_abi} (= ${PROJECT_VERSION}), libc6-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "neural speech codec Mimi, development files
Headers for C and C++, the static library, and files for pkg-config and CMake.")
set(CPACK_DEBIAN_TOOL_PACKAGE_NAME mimi)
set(CPACK_DEBIAN_TOOL_PACKAGE_SECTION sound)
set(CPACK_COMPONENT_TOOL_DESCRIPTION "neural speech codec Mimi, command-line tool
Turns recordings to codes and back, measures what is lost, and draws it.")
if(MIMI_TOOL)
  list(APPEND CPACK_COMPONENTS_ALL tool)
endif()

# Each package says under which licences it and what is compiled into it may be used, and what changed.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  find_program(MIMI_GZIP gzip REQUIRED)
  execute_process(COMMAND "${MIMI_GZIP}" -9 -n -c "${mimi_root}/CHANGELOG.md"
                  OUTPUT_FILE "${CMAKE_CURRENT_BINARY_DIR}/changelog.gz" COMMAND_ERROR_IS_FATAL ANY)
  file(READ "${mimi_root}/LICENSE-MIT" mimi_mit)
  foreach(component IN LISTS CPACK_COMPONENTS_ALL)
    string(TOUPPER "${component}" name)
    set(others "${mimi_root}/bindings/cpp/packaging/third-party-library.txt")
    if(component STREQUAL tool)
      set(others "${mimi_root}/bindings/cpp/packaging/third-party-tool.txt")
    endif()
    file(READ "${others}" mimi_others)
    configure_file("${mimi_root}/bindings/cpp/packaging/copyright.in" "copyright-${component}" @ONLY)
    set(folder "${CMAKE_INSTALL_DATADIR}/doc/${CPACK_DEBIAN_${name}_PACKAGE_NAME}")
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/copyright-${component}" DESTINATION "${folder}"
            RENAME copyright COMPONENT ${component})
    install(FILES "${CMAKE_CURRENT_BINARY_DIR}/changelog.gz" DESTINATION "${folder}" COMPONENT ${component})
  endforeach()
endif()

include(CPack)

# Installs the libraries, the headers, mimi.pc and the CMake package; and the tool, if it is built. In components: what
# programs run with, what they are built with, and the tool.

# `cmake --install` does not build by itself
list(GET mimi_files 0 mimi_first)
install(CODE "
  if(NOT EXISTS \"${mimi_first}\")
    execute_process(COMMAND \"${CMAKE_COMMAND}\" --build \"${CMAKE_BINARY_DIR}\"
                    RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
      message(FATAL_ERROR \"libmimi could not be built\")
    endif()
  endif()")
install(FILES "${mimi_include}/mimi.h" mimi.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
foreach(file IN LISTS mimi_files)
  if(file MATCHES "\\.dll$")
    install(PROGRAMS "${file}" DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT library)
  elseif(file MATCHES "\\.so\\.|\\.[0-9.]+\\.dylib$")
    install(FILES "${file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT library)
  else()
    install(FILES "${file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development)
  endif()
endforeach()

# relative to where mimi.pc lies, so that the installed tree can be moved
file(RELATIVE_PATH mimi_pc_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
string(REGEX REPLACE "/$" "" mimi_pc_prefix "${mimi_pc_prefix}")
string(REPLACE ";" " " mimi_pc_libs_private "${mimi_system_libs}")
configure_file(cmake/mimi.pc.in mimi.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/mimi.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
        COMPONENT development)

install(FILES package/mimi-config.cmake package/mimi-config-version.cmake
        DESTINATION "${CMAKE_INSTALL_DATADIR}/cmake/mimi" COMPONENT development)
if(MIMI_TOOL)
  install(PROGRAMS "${mimi_out}/mimi${CMAKE_EXECUTABLE_SUFFIX}" DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT tool)
endif()

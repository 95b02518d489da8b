# Installs the libraries, the headers, mimi.pc and the CMake package.

# `cmake --install` does not build by itself
list(GET mimi_files 0 mimi_first)
install(CODE "
  if(NOT EXISTS \"${mimi_first}\")
    execute_process(COMMAND \"${CMAKE_COMMAND}\" --build \"${CMAKE_BINARY_DIR}\" --target mimi_build
                    RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
      message(FATAL_ERROR \"libmimi could not be built\")
    endif()
  endif()")
install(FILES "${mimi_include}/mimi.h" mimi.hpp DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
foreach(file IN LISTS mimi_files)
  if(file MATCHES "\\.dll$")
    install(PROGRAMS "${file}" DESTINATION "${CMAKE_INSTALL_BINDIR}")
  else()
    install(FILES "${file}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  endif()
endforeach()

# relative to where mimi.pc lies, so that the installed tree can be moved
file(RELATIVE_PATH mimi_pc_prefix "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
string(REGEX REPLACE "/$" "" mimi_pc_prefix "${mimi_pc_prefix}")
string(REPLACE ";" " " mimi_pc_libs_private "${mimi_system_libs}")
configure_file(cmake/mimi.pc.in mimi.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/mimi.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(FILES package/mimi-config.cmake package/mimi-config-version.cmake
        DESTINATION "${CMAKE_INSTALL_DATADIR}/cmake/mimi")

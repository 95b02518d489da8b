# Run by CPack on what it is about to put into Debian packages: only symbols that programs link stay.

file(GLOB_RECURSE files "${CPACK_TEMPORARY_DIRECTORY}/*/libmimi.so.*.*.*" "${CPACK_TEMPORARY_DIRECTORY}/*/mimi")
file(GLOB_RECURSE archives "${CPACK_TEMPORARY_DIRECTORY}/*/libmimi.a")
foreach(file IN LISTS files)
  execute_process(COMMAND strip --strip-unneeded --remove-section=.comment --remove-section=.note "${file}"
                  COMMAND_ERROR_IS_FATAL ANY)
endforeach()
foreach(file IN LISTS archives)
  execute_process(COMMAND strip --strip-debug "${file}" COMMAND_ERROR_IS_FATAL ANY)
endforeach()

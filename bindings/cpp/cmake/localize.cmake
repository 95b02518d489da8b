# Makes one object of a static library, in which only mimi_* is visible.
#
# Every static library made by rustc contains Rust's run-time, under the same names; two of them in
# one program would be duplicate definitions.

get_filename_component(folder "${OUTPUT}" DIRECTORY)
set(object "${folder}/mimi.o")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${status}\n${errors}")
  endif()
endfunction()

if("${OUTPUT}" IS_NEWER_THAN "${INPUT}")
  return()
endif()
file(REMOVE "${OUTPUT}")
# COMDAT groups are resolved here, or the final link would take those of another library for ours
run("${LD}" -r --force-group-allocation --whole-archive "${INPUT}" -o "${object}")
run("${OBJCOPY}" --wildcard "--keep-global-symbol=mimi_*" "${object}")
run("${AR}" crs "${OUTPUT}" "${object}")
file(REMOVE "${object}")

# Makes one object of a static library, in which only mimi_* is visible.
#
# Every static library made by rustc contains Rust's run-time, under the same names; two of them in
# one program would be duplicate definitions. ${MORE} are archives that go into the object too.

get_filename_component(folder "${OUTPUT}" DIRECTORY)
set(object "${folder}/mimi.o")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}: ${status}\n${errors}")
  endif()
endfunction()

if(EXISTS "${OUTPUT}" AND "${OUTPUT}" IS_NEWER_THAN "${INPUT}")
  return()
endif()
# COMDAT groups are resolved here, or the final link would take those of another library for ours
run("${LD}" -r --force-group-allocation --whole-archive "${INPUT}" ${MORE} -o "${object}")
# bitcode of Rust's own objects would only confuse tools with another LLVM
run("${OBJCOPY}" --wildcard "--keep-global-symbol=mimi_*"
    --remove-section=.llvmbc --remove-section=.llvmcmd "${object}")
file(REMOVE "${OUTPUT}.new")
run("${AR}" crs "${OUTPUT}.new" "${object}")
file(RENAME "${OUTPUT}.new" "${OUTPUT}")
file(REMOVE "${object}")

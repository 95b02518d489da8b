# find_package(mimi CONFIG) gives
#
#     mimi::shared   the shared library, if it is installed
#     mimi::static   the static library, if it is installed, with the system libraries that it needs
#     mimi::mimi     the shared one, or the static one where BUILD_SHARED_LIBS is OFF or there is no other
#
# Nothing in here is absolute: the installed tree can be moved.

get_filename_component(_mimi_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(_mimi_libdirs "${_mimi_prefix}/lib" "${_mimi_prefix}/lib64")
if(CMAKE_LIBRARY_ARCHITECTURE)
  list(INSERT _mimi_libdirs 0 "${_mimi_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()
set(_mimi_include "${_mimi_prefix}/include")

# The first of the names that is in one of the library folders.
function(_mimi_find variable)
  foreach(_folder IN LISTS _mimi_libdirs)
    foreach(_name IN LISTS ARGN)
      if(EXISTS "${_folder}/${_name}")
        set(${variable} "${_folder}/${_name}" PARENT_SCOPE)
        return()
      endif()
    endforeach()
  endforeach()
  set(${variable} "" PARENT_SCOPE)
endfunction()

_mimi_find(_mimi_pc pkgconfig/mimi.pc)
_mimi_find(_mimi_static libmimi.a mimi.lib)
if(WIN32)
  _mimi_find(_mimi_implib mimi.dll.lib libmimi.dll.a mimi.dll.a)
  set(_mimi_shared "")
  if(_mimi_implib)
    set(_mimi_shared "${_mimi_prefix}/bin/mimi.dll")
  endif()
else()
  _mimi_find(_mimi_shared libmimi.so libmimi.dylib)
endif()

if(_mimi_shared AND NOT TARGET mimi::shared)
  add_library(mimi::shared SHARED IMPORTED)
  set_target_properties(mimi::shared PROPERTIES
    IMPORTED_LOCATION "${_mimi_shared}" INTERFACE_INCLUDE_DIRECTORIES "${_mimi_include}")
  if(_mimi_implib)
    set_target_properties(mimi::shared PROPERTIES
      IMPORTED_IMPLIB "${_mimi_implib}" INTERFACE_COMPILE_DEFINITIONS MIMI_DLL)
  endif()
endif()

if(_mimi_static AND NOT TARGET mimi::static)
  # rustc's list of system libraries, as the installation wrote it down
  set(_mimi_system_libs "")
  if(_mimi_pc)
    file(STRINGS "${_mimi_pc}" _mimi_line REGEX "^Libs\\.private:")
    string(REGEX REPLACE "^Libs\\.private:" "" _mimi_system_libs "${_mimi_line}")
    string(STRIP "${_mimi_system_libs}" _mimi_system_libs)
    separate_arguments(_mimi_system_libs)
    # the compiler's own
    list(REMOVE_ITEM _mimi_system_libs -lc -lgcc_s)
  endif()
  add_library(mimi::static STATIC IMPORTED)
  set_target_properties(mimi::static PROPERTIES
    IMPORTED_LOCATION "${_mimi_static}" INTERFACE_INCLUDE_DIRECTORIES "${_mimi_include}"
    INTERFACE_LINK_LIBRARIES "${_mimi_system_libs}")
endif()

if(NOT TARGET mimi::mimi)
  if(TARGET mimi::shared AND (NOT DEFINED BUILD_SHARED_LIBS OR BUILD_SHARED_LIBS OR NOT TARGET mimi::static))
    set(_mimi_default mimi::shared)
  elseif(TARGET mimi::static)
    set(_mimi_default mimi::static)
  else()
    set(mimi_FOUND FALSE)
    set(mimi_NOT_FOUND_MESSAGE "no library of libmimi in ${_mimi_libdirs}")
    return()
  endif()
  add_library(mimi::mimi INTERFACE IMPORTED)
  set_target_properties(mimi::mimi PROPERTIES INTERFACE_LINK_LIBRARIES "${_mimi_default}")
endif()

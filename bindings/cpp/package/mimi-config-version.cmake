# The version of the installed mimi.h. While MAJOR is 0, another MINOR is another ABI.

file(READ "${CMAKE_CURRENT_LIST_DIR}/../../../include/mimi.h" _mimi_header)
foreach(_part MAJOR MINOR PATCH)
  string(REGEX MATCH "MIMI_VERSION_${_part} ([0-9]+)" _ "${_mimi_header}")
  set(_mimi_${_part} "${CMAKE_MATCH_1}")
endforeach()
set(PACKAGE_VERSION "${_mimi_MAJOR}.${_mimi_MINOR}.${_mimi_PATCH}")

set(PACKAGE_VERSION_COMPATIBLE FALSE)
set(PACKAGE_VERSION_EXACT FALSE)
if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
  set(PACKAGE_VERSION_EXACT TRUE)
endif()
if(NOT PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION
   AND PACKAGE_FIND_VERSION_MAJOR EQUAL _mimi_MAJOR
   AND (_mimi_MAJOR GREATER 0 OR PACKAGE_FIND_VERSION_MINOR EQUAL _mimi_MINOR))
  set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()

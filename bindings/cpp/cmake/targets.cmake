# The targets of a build tree, named as those of an installed libmimi.

add_library(mimi::static STATIC IMPORTED GLOBAL)
set_target_properties(mimi::static PROPERTIES
  IMPORTED_LOCATION "${mimi_lib}/${mimi_static_name}"
  INTERFACE_INCLUDE_DIRECTORIES "${mimi_include};${CMAKE_CURRENT_SOURCE_DIR}"
  INTERFACE_LINK_LIBRARIES "${mimi_system_libs}")
add_dependencies(mimi::static mimi_build)

if(mimi_has_shared)
  add_library(mimi::shared SHARED IMPORTED GLOBAL)
  set_target_properties(mimi::shared PROPERTIES
    IMPORTED_LOCATION "${mimi_lib}/${mimi_shared_name}"
    INTERFACE_INCLUDE_DIRECTORIES "${mimi_include};${CMAKE_CURRENT_SOURCE_DIR}")
  if(WIN32)
    set_target_properties(mimi::shared PROPERTIES
      IMPORTED_IMPLIB "${mimi_lib}/${mimi_import_name}" INTERFACE_COMPILE_DEFINITIONS MIMI_DLL)
  else()
    set_target_properties(mimi::shared PROPERTIES IMPORTED_SONAME "${mimi_soname}")
  endif()
  add_dependencies(mimi::shared mimi_build)
endif()

add_library(mimi::mimi INTERFACE IMPORTED GLOBAL)
if(mimi_has_shared AND (NOT DEFINED BUILD_SHARED_LIBS OR BUILD_SHARED_LIBS))
  set_target_properties(mimi::mimi PROPERTIES INTERFACE_LINK_LIBRARIES mimi::shared)
else()
  set_target_properties(mimi::mimi PROPERTIES INTERFACE_LINK_LIBRARIES mimi::static)
endif()

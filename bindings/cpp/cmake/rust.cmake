# Builds the library with cargo, and lays it out under its installed names in ${mimi_lib}.

set(MIMI_CARGO_DIR "${CMAKE_CURRENT_BINARY_DIR}/cargo" CACHE PATH "Where cargo builds")
set(mimi_cargo_dir "${MIMI_CARGO_DIR}")
set(mimi_lib "${CMAKE_CURRENT_BINARY_DIR}/lib")
set(mimi_abi "${mimi_MAJOR}.${mimi_MINOR}") # within one, the ABI only grows

set(mimi_target_args)
set(mimi_environment)
set(mimi_out "${mimi_cargo_dir}/release")
if(MIMI_RUST_TARGET)
  set(mimi_target_args --target "${MIMI_RUST_TARGET}")
  set(mimi_out "${mimi_cargo_dir}/${MIMI_RUST_TARGET}/release")
  string(TOUPPER "${MIMI_RUST_TARGET}" name)
  string(REPLACE "-" "_" name "${name}")
  set(mimi_environment "CARGO_TARGET_${name}_LINKER=${CMAKE_C_COMPILER}")
endif()

# What a program that links the static library needs besides, by rustc's own account.
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/empty.rs" "")
execute_process(
  COMMAND "${MIMI_RUSTC}" ${mimi_target_args} --crate-type staticlib --print native-static-libs
          -o "${CMAKE_CURRENT_BINARY_DIR}/empty.a" "${CMAKE_CURRENT_BINARY_DIR}/empty.rs"
  ERROR_VARIABLE mimi_rustc_says
  RESULT_VARIABLE mimi_rustc_failed)
if(mimi_rustc_failed OR NOT mimi_rustc_says MATCHES "native-static-libs: ([^\n]*)")
  message(FATAL_ERROR "rustc cannot build for '${MIMI_RUST_TARGET}': ${mimi_rustc_says}")
endif()
string(STRIP "${CMAKE_MATCH_1}" mimi_system_libs)
separate_arguments(mimi_system_libs)
# Compilers add these themselves, and know which unwinder goes with -static.
list(REMOVE_ITEM mimi_system_libs -lc -lgcc_s -lunwind -lgcc_eh)
list(REMOVE_DUPLICATES mimi_system_libs)

if(WIN32)
  set(mimi_shared_name mimi.dll)
  set(mimi_links)
  if(MSVC)
    set(mimi_static_name mimi.lib)
    set(mimi_import_name mimi.dll.lib)
  else()
    set(mimi_static_name libmimi.a)
    set(mimi_import_name libmimi.dll.a)
  endif()
  set(mimi_cargo_shared mimi.dll)
  set(mimi_link_args)
elseif(APPLE)
  set(mimi_static_name libmimi.a)
  set(mimi_shared_name libmimi.${PROJECT_VERSION}.dylib)
  set(mimi_links libmimi.${mimi_abi}.dylib libmimi.dylib)
  set(mimi_cargo_shared libmimi.dylib)
  set(mimi_soname "@rpath/libmimi.${mimi_abi}.dylib")
  set(mimi_link_args -C "link-arg=-Wl,-install_name,${mimi_soname}")
else()
  set(mimi_static_name libmimi.a)
  set(mimi_shared_name libmimi.so.${PROJECT_VERSION})
  set(mimi_links libmimi.so.${mimi_abi} libmimi.so)
  set(mimi_cargo_shared libmimi.so)
  set(mimi_soname libmimi.so.${mimi_abi})
  set(mimi_link_args -C "link-arg=-Wl,-soname,${mimi_soname}")
endif()

# Targets without shared libraries, such as musl with static linking by default, have only the other.
execute_process(
  COMMAND "${MIMI_RUSTC}" ${mimi_target_args} --print cfg
  OUTPUT_VARIABLE mimi_cfg)
set(mimi_has_shared ON)
set(mimi_unwinder)
set(mimi_crate_types --crate-type staticlib --crate-type cdylib)
if(mimi_cfg MATCHES "target_feature=\"crt-static\"" AND mimi_cfg MATCHES "target_env=\"musl\"")
  set(mimi_has_shared OFF)
  set(mimi_crate_types --crate-type staticlib)
  # The compiler's own unwinder may be one for glibc, as with Debian's musl-gcc; Rust brings one for musl.
  execute_process(
    COMMAND "${MIMI_RUSTC}" ${mimi_target_args} --print target-libdir
    OUTPUT_VARIABLE mimi_rust_libdir
    OUTPUT_STRIP_TRAILING_WHITESPACE)
  file(GLOB mimi_unwinder "${mimi_rust_libdir}/self-contained/libunwind.a")
endif()

set(mimi_files "${mimi_lib}/${mimi_static_name}")
set(mimi_place COMMAND "${CMAKE_COMMAND}" -E copy_if_different
                       "${mimi_out}/${mimi_static_name}" "${mimi_lib}/${mimi_static_name}")
if(UNIX AND NOT APPLE AND CMAKE_OBJCOPY)
  # Another Rust library in the same program has the same run-time inside: keep it apart.
  set(mimi_place COMMAND "${CMAKE_COMMAND}" -D "INPUT=${mimi_out}/${mimi_static_name}"
                         -D "OUTPUT=${mimi_lib}/${mimi_static_name}" -D "LD=${CMAKE_LINKER}"
                         -D "OBJCOPY=${CMAKE_OBJCOPY}" -D "AR=${CMAKE_AR}" -D "MORE=${mimi_unwinder}"
                         -P "${CMAKE_CURRENT_LIST_DIR}/localize.cmake")
endif()
if(mimi_has_shared)
  list(APPEND mimi_files "${mimi_lib}/${mimi_shared_name}")
  list(APPEND mimi_place COMMAND "${CMAKE_COMMAND}" -E copy_if_different
                         "${mimi_out}/${mimi_cargo_shared}" "${mimi_lib}/${mimi_shared_name}")
  set(points_to "${mimi_shared_name}")
  foreach(link IN LISTS mimi_links)
    list(APPEND mimi_place COMMAND "${CMAKE_COMMAND}" -E create_symlink "${points_to}" "${mimi_lib}/${link}")
    list(APPEND mimi_files "${mimi_lib}/${link}")
    set(points_to "${link}")
  endforeach()
  if(WIN32)
    list(APPEND mimi_place COMMAND "${CMAKE_COMMAND}" -E copy_if_different
                           "${mimi_out}/${mimi_import_name}" "${mimi_lib}/${mimi_import_name}")
    list(APPEND mimi_files "${mimi_lib}/${mimi_import_name}")
  endif()
endif()

file(MAKE_DIRECTORY "${mimi_lib}")
# cargo knows what is out of date, so it is always asked
add_custom_target(mimi_build ALL
  COMMAND "${CMAKE_COMMAND}" -E env ${mimi_environment}
          "${MIMI_CARGO}" rustc --manifest-path "${mimi_root}/Cargo.toml" --target-dir "${mimi_cargo_dir}"
          --locked --release --lib --no-default-features ${mimi_target_args} ${mimi_crate_types}
          -- ${mimi_link_args}
  ${mimi_place}
  BYPRODUCTS ${mimi_files}
  COMMENT "Building libmimi with cargo"
  VERBATIM)

if(MIMI_TOOL)
  # before the library, which is built again after it: cargo's folder is left as a build of the library alone finds it
  add_custom_target(mimi_tool ALL
    COMMAND "${CMAKE_COMMAND}" -E env ${mimi_environment}
            "${MIMI_CARGO}" build --manifest-path "${mimi_root}/Cargo.toml" --target-dir "${mimi_cargo_dir}"
            --locked --release -p mimi-cli ${mimi_target_args}
    COMMENT "Building the tool with cargo"
    VERBATIM)
  add_dependencies(mimi_build mimi_tool)
endif()

"""libmimi for Conan 2: `conan create bindings/cpp/packaging/conan`. Needs Rust, as cargo in the PATH."""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

SOURCES = ["Cargo.toml", "Cargo.lock", "LICENSE-*", "include/*", "src/*", "bindings/cpp/*", "tool/Cargo.toml",
           "tool/src/*", "tests/Cargo.toml"]


class Mimi(ConanFile):
    name = "libmimi"
    license = "MIT OR Apache-2.0"
    url = "https://github.com/libmimi/libmimi"
    description = "The Mimi neural audio codec as a fast, streaming, real-time-safe library with a C ABI"
    topics = ("audio", "codec", "speech", "neural", "streaming")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": False}
    # nothing is written among them, and cargo need not build the same again in another place
    no_copy_source = True

    def set_version(self):
        for line in load(self, os.path.join(self.recipe_folder, "../../../../Cargo.toml")).splitlines():
            if line.startswith("version = "):
                self.version = self.version or line.split('"')[1]
                return

    def export_sources(self):
        repository = os.path.join(self.recipe_folder, "../../../..")
        for pattern in SOURCES:
            # the test package is built in its folder, and would make other sources of them
            copy(self, pattern, repository, self.export_sources_folder, excludes="bindings/cpp/packaging/conan/*")

    def configure(self):
        # no C++ is compiled
        self.settings.rm_safe("compiler.libcxx")
        self.settings.rm_safe("compiler.cppstd")

    def validate(self):
        if self.settings.os not in ("Linux", "Macos", "Windows"):
            raise ConanInvalidConfiguration(f"{self.settings.os}: call CMake with MIMI_RUST_TARGET yourself")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["CMAKE_INSTALL_LIBDIR"] = "lib"
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure(build_script_folder="bindings/cpp")
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE-*", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "bindings/cpp/packaging/third-party-library.txt", self.source_folder,
             os.path.join(self.package_folder, "licenses"), keep_path=False)
        lib = os.path.join(self.package_folder, "lib")
        # Conan writes files for CMake and pkg-config itself
        rmdir(self, os.path.join(self.package_folder, "share"))
        rmdir(self, os.path.join(lib, "pkgconfig"))
        for file in os.listdir(lib):
            if (file.endswith((".a", ".lib")) and ".dll." not in file) == bool(self.options.shared):
                os.remove(os.path.join(lib, file))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "mimi")
        self.cpp_info.set_property("cmake_target_name", "mimi::mimi")
        self.cpp_info.set_property("pkg_config_name", "mimi")
        self.cpp_info.libs = ["mimi"]
        if self.settings.os == "Windows":
            if self.options.shared:
                self.cpp_info.libs = ["mimi.dll"]
                self.cpp_info.defines = ["MIMI_DLL"]
            else:
                self.cpp_info.system_libs = ["kernel32", "ntdll", "userenv", "ws2_32", "dbghelp"]
        elif self.settings.os == "Linux" and not self.options.shared:
            self.cpp_info.system_libs = ["pthread", "dl", "m", "gcc_s"]

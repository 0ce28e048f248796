# libtorch for the one library that knows it, as the target tributary_libtorch: the system's (Debian's libtorch-dev), or the one under LIBTORCH_DIR.
#
# LIBTORCH_DIR is an unpacked libtorch archive, or the folder torch/ of a Python package: it has include/ and lib/. Its own TorchConfig.cmake is not
# used, since with CUDA that asks for nvcc, of which nothing here is compiled: libraries and headers of libtorch are enough.
set(LIBTORCH_DIR "" CACHE PATH "A libtorch 2.1 or newer with include/ and lib/, with or without CUDA; empty: the system's")

add_library(tributary_libtorch INTERFACE)
if(NOT LIBTORCH_DIR)
  find_package(Torch REQUIRED)
  target_link_libraries(tributary_libtorch INTERFACE ${TORCH_LIBRARIES})
  if(TARGET torch_cuda)
    target_compile_definitions(tributary_libtorch INTERFACE TRIBUTARY_TORCH_CUDA)
  endif()
  return()
endif()

foreach(name IN ITEMS torch torch_cpu c10 torch_cuda c10_cuda)
  set(file ${LIBTORCH_DIR}/lib/lib${name}.so)
  if(EXISTS ${file})
    list(APPEND TRIBUTARY_LIBTORCH_FILES ${file})
  elseif(NOT name MATCHES "cuda")
    message(FATAL_ERROR "LIBTORCH_DIR: there is no ${file}; expected the folder of an unpacked libtorch, or torch/ of a Python package")
  endif()
endforeach()
if(NOT EXISTS ${LIBTORCH_DIR}/include/ATen/ATen.h)
  message(FATAL_ERROR "LIBTORCH_DIR: there is no ${LIBTORCH_DIR}/include/ATen/ATen.h; a libtorch without headers runs programs and builds none")
endif()
target_include_directories(tributary_libtorch SYSTEM INTERFACE ${LIBTORCH_DIR}/include ${LIBTORCH_DIR}/include/torch/csrc/api/include)
# All of them are needed at run time, those too of which no name is used here: the CUDA ones announce themselves when they are loaded. What these
# need in turn (cuBLAS, cuDNN) need not be on the machine that builds.
target_link_libraries(tributary_libtorch INTERFACE -Wl,--push-state,--no-as-needed ${TRIBUTARY_LIBTORCH_FILES} -Wl,--pop-state)
target_link_options(tributary_libtorch INTERFACE -Wl,--allow-shlib-undefined)
if(EXISTS ${LIBTORCH_DIR}/lib/libtorch_cuda.so)
  target_compile_definitions(tributary_libtorch INTERFACE TRIBUTARY_TORCH_CUDA)
endif()

# Strings cross its border, and there are two kinds of them.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_INCLUDES ${LIBTORCH_DIR}/include)
set(CMAKE_REQUIRED_LIBRARIES ${LIBTORCH_DIR}/lib/libc10.so -Wl,--allow-shlib-undefined)
set(CMAKE_REQUIRED_FLAGS -std=c++17)
check_cxx_source_compiles("
  #include <c10/util/Exception.h>
  int main() { c10::detail::torchCheckFail(\"\", \"\", 0, std::string()); }" TRIBUTARY_LIBTORCH_NEW_ABI)
if(NOT TRIBUTARY_LIBTORCH_NEW_ABI)
  unset(TRIBUTARY_LIBTORCH_NEW_ABI CACHE)
  message(FATAL_ERROR "LIBTORCH_DIR: ${LIBTORCH_DIR} is built with the old C++ ABI (_GLIBCXX_USE_CXX11_ABI=0), or its headers do not compile; take "
                      "the archive that is called cxx11-abi, or a Python package of torch 2.7 or newer")
endif()

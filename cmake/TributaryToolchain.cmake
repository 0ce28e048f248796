# Language level, warnings, and the flags that the arithmetic depends on.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

# Aggregation is bit-for-bit reproducible only while a multiply and an add stay two roundings.
add_compile_options(-Wall -Wextra -ffp-contract=off)
add_compile_definitions(MSGPACK_NO_BOOST)

if(TRIBUTARY_SANITIZE)
  add_compile_options(-fsanitize=${TRIBUTARY_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TRIBUTARY_SANITIZE})
  if(TRIBUTARY_SANITIZE MATCHES "undefined")
    # Undefined behaviour ends the process as the other findings do: a line in a log fails no test.
    add_compile_options(-fno-sanitize-recover=all)
  endif()
  if(TRIBUTARY_SANITIZE STREQUAL "thread")
    # GCC warns that fences are not modelled; libzmq and ours use none on shared state.
    add_compile_options(-Wno-tsan)
  endif()
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

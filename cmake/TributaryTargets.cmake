# tributary_library, tributary_service and tributary_test: one target per folder, dependencies listed once.
#
#   tributary_library(NAME wire SRCS envelope.cc ... DEPS base tensor EXTERNAL some::target)
#
# NAME    folder under libs/; target tributary_<name>, alias tributary::<name>
# SRCS    files under src/
# DEPS    libraries of ours (public); tests/checks/check_includes.py holds the includes against them
# EXTERNAL third-party targets, linked privately unless PUBLIC_EXTERNAL names them
set_property(GLOBAL PROPERTY TRIBUTARY_DEPENDENCY_LINES "")

function(_tributary_record kind name deps)
  string(REPLACE ";" " " joined "${deps}")
  set_property(GLOBAL APPEND PROPERTY TRIBUTARY_DEPENDENCY_LINES "${kind} ${name}: ${joined}")
endfunction()

function(tributary_library)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS;EXTERNAL;PUBLIC_EXTERNAL" ${ARGN})
  set(target tributary_${ARG_NAME})
  list(TRANSFORM ARG_SRCS PREPEND src/)
  list(TRANSFORM ARG_DEPS PREPEND tributary:: OUTPUT_VARIABLE dep_targets)
  if(ARG_SRCS)
    add_library(${target} STATIC ${ARG_SRCS})
    target_include_directories(${target} PUBLIC include PRIVATE src)
    target_link_libraries(${target} PUBLIC ${dep_targets} ${ARG_PUBLIC_EXTERNAL}
                          PRIVATE ${ARG_EXTERNAL} Threads::Threads)
  else()
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE include)
    target_link_libraries(${target} INTERFACE ${dep_targets} ${ARG_PUBLIC_EXTERNAL} ${ARG_EXTERNAL})
  endif()
  add_library(tributary::${ARG_NAME} ALIAS ${target})
  _tributary_record(library ${ARG_NAME} "${ARG_DEPS}")
  if(TRIBUTARY_TESTS AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/tests/CMakeLists.txt)
    add_subdirectory(tests)
  endif()
endfunction()

# A service is a library (so that tests run it in their own process) and a thin main.cc.
#   tributary_service(NAME coordinator BINARY tributary-coordinator SRCS coordinator.cc DEPS ...)
function(tributary_service)
  cmake_parse_arguments(ARG "" "NAME;BINARY" "SRCS;DEPS;EXTERNAL" ${ARGN})
  set(target tributary_service_${ARG_NAME})
  list(TRANSFORM ARG_DEPS PREPEND tributary:: OUTPUT_VARIABLE dep_targets)
  add_library(${target} STATIC ${ARG_SRCS})
  # Included as "services/<name>/<file>.h": the path says that it is process-level code.
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC ${dep_targets} PRIVATE ${ARG_EXTERNAL} Threads::Threads)
  add_library(tributary::service-${ARG_NAME} ALIAS ${target})
  add_executable(${ARG_BINARY} main.cc)
  target_link_libraries(${ARG_BINARY} PRIVATE ${target})
  _tributary_record(service ${ARG_NAME} "${ARG_DEPS}")
  if(TRIBUTARY_TESTS AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/tests/CMakeLists.txt)
    add_subdirectory(tests)
  endif()
endfunction()

# tributary_test(NAME wire_test SRCS a_test.cc ... DEPS wire ... [LABELS ...] [TIMEOUT s])
function(tributary_test)
  cmake_parse_arguments(ARG "" "NAME;TIMEOUT" "SRCS;DEPS;EXTERNAL;LABELS" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  list(TRANSFORM ARG_DEPS PREPEND tributary:: OUTPUT_VARIABLE dep_targets)
  add_executable(${ARG_NAME} ${ARG_SRCS})
  set_target_properties(${ARG_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  target_include_directories(${ARG_NAME} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PRIVATE ${dep_targets} ${ARG_EXTERNAL} GTest::gmock GTest::gtest_main Threads::Threads)
  gtest_discover_tests(${ARG_NAME} DISCOVERY_TIMEOUT 60
                       PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()

# Leaves build/dependencies.txt, "library wire: base tensor" a line, for the check of includes.
function(tributary_write_dependency_table)
  get_property(lines GLOBAL PROPERTY TRIBUTARY_DEPENDENCY_LINES)
  list(JOIN lines "\n" text)
  file(WRITE ${CMAKE_BINARY_DIR}/dependencies.txt "${text}\n")
endfunction()

# A room is a folder under src/ (docs/architecture.md). `similis_room(name ...)`, called from the room's own
# CMakeLists.txt, makes the library `similis_<name>` from its *.cc and, when tests are on, the program
# `similis_<name>_test` from its *_test.cc.
#
#   PUBLIC / PRIVATE   libraries the room needs (PUBLIC: its headers need them too)
#   TEST               libraries only the tests need
#   EXCLUDE            regular expressions of sources that another target owns
function(similis_room name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE;TEST;EXCLUDE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  foreach(pattern IN LISTS ARG_EXCLUDE)
    list(FILTER sources EXCLUDE REGEX "${pattern}")
  endforeach()
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench|main)\\.cc$")

  set(scope PUBLIC)
  if(sources)
    add_library(similis_${name} STATIC ${sources})
    target_link_libraries(similis_${name} PRIVATE $<BUILD_INTERFACE:similis_flags> ${ARG_PRIVATE})
  else()
    add_library(similis_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(similis::${name} ALIAS similis_${name})
  target_include_directories(similis_${name} ${scope} $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
  target_link_libraries(similis_${name} ${scope} ${ARG_PUBLIC})

  if(SIMILIS_TESTS AND tests)
    add_executable(similis_${name}_test ${tests})
    target_link_libraries(similis_${name}_test PRIVATE similis_${name} similis_flags ${ARG_PRIVATE} ${ARG_TEST}
                          GTest::gtest GTest::gmock GTest::gtest_main)
    similis_discover(similis_${name}_test unit)
  endif()
endfunction()

# Registers every case of a GoogleTest program with CTest under one label.
function(similis_discover target label)
  include(GoogleTest)
  gtest_discover_tests(${target} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS ${label} TIMEOUT 300)
endfunction()

# Warning and sanitizer flags, for this project's own targets only. -Wrestrict is off: GCC 12 reports std::string's own code
# when it optimises (GCC bug 105651).
add_library(similis_flags INTERFACE)
target_compile_options(similis_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wno-restrict
                       $<$<BOOL:${SIMILIS_WERROR}>:-Werror>)
target_link_libraries(similis_flags INTERFACE Threads::Threads)
if(SIMILIS_SANITIZE)
  # Undefined behaviour ends the program, so that a test fails by it. -Wtsan warns of fences, which others' headers have.
  add_compile_options(-fsanitize=${SIMILIS_SANITIZE} -fno-sanitize-recover=undefined -fno-omit-frame-pointer -Wno-tsan)
  add_link_options(-fsanitize=${SIMILIS_SANITIZE})
endif()

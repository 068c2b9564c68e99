# The OpenVINO C++ SDK (headers, libraries, CMake config), which scripts/setup/runtime.sh unpacks from its Python
# wheel. Gives the target openvino::runtime and SIMILIS_OPENVINO_LIBS, the folder of its libraries.
set(SIMILIS_OPENVINO_VERSION 2026.4.1)
if(DEFINED ENV{SIMILIS_CACHE_DIR})
  set(similis_cache_dir $ENV{SIMILIS_CACHE_DIR})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(similis_cache_dir $ENV{XDG_CACHE_HOME}/similis)
else()
  set(similis_cache_dir $ENV{HOME}/.cache/similis)
endif()
set(SIMILIS_OPENVINO_DIR ${similis_cache_dir}/openvino-${SIMILIS_OPENVINO_VERSION}
    CACHE PATH "Where the OpenVINO SDK ${SIMILIS_OPENVINO_VERSION} is unpacked")

find_package(OpenVINO ${SIMILIS_OPENVINO_VERSION} EXACT CONFIG COMPONENTS Runtime
             PATHS ${SIMILIS_OPENVINO_DIR}/openvino/cmake NO_DEFAULT_PATH)
if(NOT OpenVINO_FOUND)
  message(FATAL_ERROR "OpenVINO ${SIMILIS_OPENVINO_VERSION} is not in ${SIMILIS_OPENVINO_DIR}. "
                      "./run and ./test fetch it, or name its folder with -DSIMILIS_OPENVINO_DIR=DIR.")
endif()
set(SIMILIS_OPENVINO_LIBS ${SIMILIS_OPENVINO_DIR}/openvino/libs)

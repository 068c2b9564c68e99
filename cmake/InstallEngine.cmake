# The disk vector index as a library: `find_package(similis_engine)` gives the target similis::engine. What its public
# header includes comes along; nothing else of base/ or engine/ is installed.
include(CMakePackageConfigHelpers)
set(engine_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/similis_engine)

set_target_properties(similis_base PROPERTIES EXPORT_NAME base)
set_target_properties(similis_engine PROPERTIES EXPORT_NAME engine)
foreach(target similis_base similis_engine)
  target_include_directories(${target} PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/similis>)
endforeach()
install(TARGETS similis_base similis_engine EXPORT similis_engine ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${CMAKE_SOURCE_DIR}/src/engine/index.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/similis/engine)
install(FILES ${CMAKE_SOURCE_DIR}/src/base/error.h ${CMAKE_SOURCE_DIR}/src/base/result.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/similis/base)
install(EXPORT similis_engine FILE similis_engineTargets.cmake NAMESPACE similis:: DESTINATION ${engine_config_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/similis_engineConfig.cmake.in similis_engineConfig.cmake
                              INSTALL_DESTINATION ${engine_config_dir})
write_basic_package_version_file(similis_engineConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/similis_engineConfig.cmake
        ${CMAKE_CURRENT_BINARY_DIR}/similis_engineConfigVersion.cmake DESTINATION ${engine_config_dir})

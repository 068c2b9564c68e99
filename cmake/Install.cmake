# `cmake --install` and the Debian package. Both take what ./run or ./test put into build/share/similis (the model, the
# page) and the runtime's libraries that a CPU needs, so that an installed similis needs neither Python nor a network.
set(share_dir ${CMAKE_SOURCE_DIR}/build/share/similis)
set(model efficientnet-lite0/1.0)

# Private libraries: not in a folder that the linker searches, whatever the system calls its own.
set_target_properties(similis PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/similis")
install(TARGETS similis DESTINATION ${CMAKE_INSTALL_BINDIR})

foreach(library libopenvino.so.2641 libopenvino_onnx_frontend.so.2641 libopenvino_ir_frontend.so.2641
                libopenvino_intel_cpu_plugin.so libtbb.so.12 libtbbbind_2_5.so.3 libtbbmalloc.so.2 libhwloc.so.15)
  install(FILES ${SIMILIS_OPENVINO_LIBS}/${library} DESTINATION lib/similis)
endforeach()

install(CODE "
  foreach(needed models/${model}/model.onnx web/index.html)
    if(NOT EXISTS \"${share_dir}/\${needed}\")
      message(FATAL_ERROR \"\${needed} is not in ${share_dir}: start ./run --no-serve first\")
    endif()
  endforeach()
  foreach(shell bash zsh fish)
    execute_process(COMMAND $<TARGET_FILE:similis> completion \${shell} COMMAND_ERROR_IS_FATAL ANY
                    OUTPUT_FILE ${CMAKE_BINARY_DIR}/similis.\${shell})
  endforeach()
  execute_process(COMMAND /usr/bin/python3 ${CMAKE_SOURCE_DIR}/packaging/collect_licenses.py --share ${share_dir}
                  --openvino ${SIMILIS_OPENVINO_DIR} --out ${share_dir}/licenses COMMAND_ERROR_IS_FATAL ANY)")
# The folders behind the links, as their trailing slash asks for.
install(DIRECTORY ${share_dir}/models/${model}/ DESTINATION ${CMAKE_INSTALL_DATADIR}/similis/models/${model})
install(DIRECTORY ${share_dir}/web/ DESTINATION ${CMAKE_INSTALL_DATADIR}/similis/web PATTERN "*.map" EXCLUDE)
install(DIRECTORY ${share_dir}/licenses/ DESTINATION ${CMAKE_INSTALL_DATADIR}/similis/licenses)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models/cards/ DESTINATION ${CMAKE_INSTALL_DATADIR}/similis/cards
        FILES_MATCHING PATTERN "*.toml")

install(FILES ${CMAKE_SOURCE_DIR}/docs/man/similis.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${CMAKE_BINARY_DIR}/similis.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME similis)
install(FILES ${CMAKE_BINARY_DIR}/similis.zsh DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions RENAME _similis)
install(FILES ${CMAKE_BINARY_DIR}/similis.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME similis)
set(CPACK_PACKAGE_CONTACT "The similis maintainers <similis@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# oneTBB and hwloc are shipped and so depended on by nobody.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${SIMILIS_OPENVINO_LIBS})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)

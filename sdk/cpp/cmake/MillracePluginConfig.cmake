include("${CMAKE_CURRENT_LIST_DIR}/MillracePluginTargets.cmake")

# A plugin NAME.so, as job files name it, of these sources.
function(millrace_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  target_link_libraries(${name} PRIVATE MillracePlugin::MillracePlugin)
  set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so" CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
endfunction()

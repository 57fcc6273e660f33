# Writes the scenario files into OUTPUT as an array of (name, text): see coordinator/chaos/presets.cc.
function(millrace_embed_presets output)
  set(array "")
  foreach(file ${ARGN})
    get_filename_component(name ${file} NAME_WE)
    file(READ ${file} text)
    string(APPEND array "    {\"${name}\", R\"preset(${text})preset\"},\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  endforeach()
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT
       "namespace millrace::chaos {\nstatic constexpr Preset kPresetFiles[] = {\n${array}};\n}  // namespace millrace::chaos\n")
endfunction()

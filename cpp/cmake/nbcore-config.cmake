# find_package(nbcore) gives the target nbcore::nbcore: the C interface (nbcore/nbcore.h, for C++ nbcore/nbcore.hpp) and its
# library; nbcore_FORTRAN_MODULE is the source of the Fortran module.
# Everything is found from where this file lies, lib/cmake/nbcore: the whole folder may be moved.
get_filename_component(_nbcore_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(_nbcore_library "${_nbcore_root}/lib/libnbcore.so.0")
foreach(_nbcore_file IN ITEMS "${_nbcore_library}" "${_nbcore_root}/include/nbcore/nbcore.h")
  if(NOT EXISTS "${_nbcore_file}")
    set(${CMAKE_FIND_PACKAGE_NAME}_FOUND FALSE)
    set(${CMAKE_FIND_PACKAGE_NAME}_NOT_FOUND_MESSAGE "${_nbcore_file} is missing: install nbcore again")
    return()
  endif()
endforeach()

if(NOT TARGET nbcore::nbcore)
  add_library(nbcore::nbcore SHARED IMPORTED)
  set_target_properties(nbcore::nbcore PROPERTIES
    IMPORTED_LOCATION "${_nbcore_library}"
    IMPORTED_SONAME "libnbcore.so.0"
    INTERFACE_INCLUDE_DIRECTORIES "${_nbcore_root}/include")
endif()
set(nbcore_FORTRAN_MODULE "${_nbcore_root}/include/nbcore/nbcore.f90")
unset(_nbcore_root)
unset(_nbcore_library)
unset(_nbcore_file)

# find_package(bnn_tf) gives bnn_tf::runtime: packed models for C++ (bnn_tf's docs/packed-format.md).
include(CMakeFindDependencyMacro)
find_dependency(OpenMP COMPONENTS CXX)
include("${CMAKE_CURRENT_LIST_DIR}/bnn_tfTargets.cmake")

# TensorFlow as the Python interpreter in `Python_EXECUTABLE` sees it, with its own flags from tf.sysconfig:
#
#   TensorFlow::Framework    include directories, ABI flags and the library that custom ops link
#   TensorFlow_VERSION       such as 2.21.0
#
# Importing TensorFlow takes seconds, so its answer is kept in the cache until the interpreter or the installed library changes.

set(_tensorflow_locate [=[
import importlib.util, os
spec = importlib.util.find_spec("tensorflow")
print(spec.origin, os.stat(spec.origin).st_mtime_ns, sep="@") if spec else print()
]=])
set(_tensorflow_ask [=[
import tensorflow as tf
print("@".join([tf.__version__, ";".join(tf.sysconfig.get_compile_flags()), ";".join(tf.sysconfig.get_link_flags())]))
]=])

execute_process(COMMAND "${Python_EXECUTABLE}" -c "${_tensorflow_locate}"
                OUTPUT_VARIABLE _tensorflow_origin OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(_tensorflow_key "${Python_EXECUTABLE}@${_tensorflow_origin}")

if(_tensorflow_origin AND NOT _tensorflow_key STREQUAL TensorFlow_KEY)
  message(STATUS "Asking TensorFlow for its flags")
  execute_process(COMMAND "${Python_EXECUTABLE}" -c "${_tensorflow_ask}" OUTPUT_VARIABLE _tensorflow_answer
                  ERROR_VARIABLE _tensorflow_error OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE _tensorflow_result)
  if(_tensorflow_result)
    message(FATAL_ERROR "${Python_EXECUTABLE} can't import TensorFlow:\n${_tensorflow_error}")
  endif()
  set(TensorFlow_ANSWER "${_tensorflow_answer}" CACHE INTERNAL "version@compile flags@link flags")
  set(TensorFlow_KEY "${_tensorflow_key}" CACHE INTERNAL "The TensorFlow that gave TensorFlow_ANSWER")
endif()

if(_tensorflow_origin AND TensorFlow_ANSWER MATCHES "^([^@]*)@([^@]*)@([^@]*)$")
  set(TensorFlow_VERSION "${CMAKE_MATCH_1}")
  set(_tensorflow_compile "${CMAKE_MATCH_2}")
  set(_tensorflow_link "${CMAKE_MATCH_3}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(TensorFlow REQUIRED_VARS TensorFlow_VERSION VERSION_VAR TensorFlow_VERSION
  REASON_FAILURE_MESSAGE "no TensorFlow in ${Python_EXECUTABLE}: install it there, or pass another -DPython_EXECUTABLE")

if(TensorFlow_FOUND AND NOT TARGET TensorFlow::Framework)
  add_library(TensorFlow::Framework INTERFACE IMPORTED)
  foreach(flag IN LISTS _tensorflow_compile)
    if(flag MATCHES "^-I(.*)$")
      # Of an imported target, hence SYSTEM: its warnings are not ours.
      target_include_directories(TensorFlow::Framework INTERFACE "${CMAKE_MATCH_1}")
    else()
      target_compile_options(TensorFlow::Framework INTERFACE "${flag}")
    endif()
  endforeach()
  foreach(flag IN LISTS _tensorflow_link)
    if(flag MATCHES "^-L(.*)$")
      target_link_directories(TensorFlow::Framework INTERFACE "${CMAKE_MATCH_1}")
    else()
      target_link_libraries(TensorFlow::Framework INTERFACE "${flag}")
    endif()
  endforeach()
endif()

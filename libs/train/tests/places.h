// Where the models of a test are made: on the processor as users have it, or as if it were a device apart.
//
// "apart": weights are copies of the bytes that travel, on the processor all the same. "stand-in": on a device that refuses what a GPU
// refuses (stand_in_device.cc). TRIBUTARY_TRAIN_TEST_DEVICE says where a whole run of these tests is, "" being the processor.
#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace tributary::train {

inline std::string PlaceOfThisRun() {
  const char* const place = std::getenv("TRIBUTARY_TRAIN_TEST_DEVICE");
  return place != nullptr ? place : "";
}

// REQUIRES: the module is loaded.
inline void MakeModelsOn(const std::string& place) {
  const auto symbol = [](const char* file, int flags, const char* name) {
    void* const handle = dlopen(file, flags);
    void* const found = handle != nullptr ? dlsym(handle, name) : nullptr;
    if (found == nullptr) {
      ADD_FAILURE() << file << ": " << dlerror();
      std::abort();
    }
    return found;
  };
  // Before any backward pass, whatever the place: libtorch looks once for devices.
  static const int stand_in = reinterpret_cast<int (*)()>(symbol(TRIBUTARY_STAND_IN_FILE, RTLD_NOW | RTLD_LOCAL, "TributaryStandInDeviceType"))();
  const int type = place == "apart" ? 0 : place == "stand-in" ? stand_in : -1;
  reinterpret_cast<void (*)(int)>(symbol(TRIBUTARY_MODULE_FILE, RTLD_NOW | RTLD_NOLOAD, "TributaryTrainPlaceAllOn"))(type);
}

}  // namespace tributary::train

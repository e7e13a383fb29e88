// SPDX-License-Identifier: Apache-2.0
//
// toml++ as this library uses it: from its headers alone, whatever the package's flags say, so that
// a program which links the reader statically loads no further library for it.
#pragma once

#undef TOML_SHARED_LIB
#undef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 16
#include <toml++/toml.h>

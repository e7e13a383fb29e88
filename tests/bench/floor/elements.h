/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "network.h"

/* The sandbox's place in the sets of the host's tables. -1 with errno when the kernel refuses. */
int floor_elements_add(const struct floor_network* sandbox);

/* Reads its counters, and takes it out. */
int floor_elements_remove(const struct floor_network* sandbox);

#include "gateway_channel.h"

// A table that grows keeps its first size; one that shrinks or is reordered does not compile.
_Static_assert(sizeof(void *) != 8 || (GATEWAY_HOST_SIZE_1 == 48 && GATEWAY_CHANNEL_SIZE_1 == 112), "version 1");
_Static_assert(sizeof(gateway_host) >= GATEWAY_HOST_SIZE_1, "gateway_host");
_Static_assert(sizeof(gateway_channel) >= GATEWAY_CHANNEL_SIZE_1, "gateway_channel");

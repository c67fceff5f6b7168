#include "gateway_channel.h"

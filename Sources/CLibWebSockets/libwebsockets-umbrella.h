#ifndef CLIBWEBSOCKETS_UMBRELLA_H
#define CLIBWEBSOCKETS_UMBRELLA_H

#include <libwebsockets.h>

#endif

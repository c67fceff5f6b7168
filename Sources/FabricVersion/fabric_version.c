#include "fabric_version.h"

#ifndef FABRIC_VERSION
#define FABRIC_VERSION "0.1.0"
#endif

/* volatile: the text stays in one place in the file, and is read from there. */
static volatile const char version[32] = FABRIC_VERSION;

const char *fabric_plugin_version(void) { return (const char *)version; }

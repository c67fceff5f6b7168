/* The version of this build, in C so that a build can be given another one (-Xcc -DFABRIC_VERSION=...) and so that a
 * module's file shows it. */
#ifndef FABRIC_VERSION_H
#define FABRIC_VERSION_H

/* Semantic version, zero-terminated. */
const char *fabric_plugin_version(void);

#endif

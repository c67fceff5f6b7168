/* SQLite for Swift: the header, and functions for what Swift cannot call: variadic functions, and the destructors that
 * are casts of small numbers. */
#ifndef CSQLITE_H
#define CSQLITE_H

#include <sqlite3.h>

#if SQLITE_VERSION_NUMBER < 3037000
#error "SQLite 3.37 or newer is needed (SQLITE_OPEN_EXRESCODE)"
#endif

/* SQLite copies the bytes. A NULL pointer with length 0 is the empty text or blob, not NULL. */
static inline int csqlite_bind_text(sqlite3_stmt *statement, int index, const char *bytes, int length) {
    return sqlite3_bind_text(statement, index, bytes ? bytes : "", length, SQLITE_TRANSIENT);
}

static inline int csqlite_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, int length) {
    return sqlite3_bind_blob(statement, index, bytes ? bytes : "", length, SQLITE_TRANSIENT);
}

/* The bytes must stay where they are until the statement was stepped and its binding replaced. */
static inline int csqlite_bind_borrowed_blob(sqlite3_stmt *statement, int index, const void *bytes, int length) {
    return sqlite3_bind_blob(statement, index, bytes ? bytes : "", length, SQLITE_STATIC);
}

/* Whether closing the last connection writes the log back into the file. */
static inline int csqlite_checkpoint_on_close(sqlite3 *database, int on) {
    return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, (int *)0);
}

#endif

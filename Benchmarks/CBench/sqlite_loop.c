/* The least a durable message costs: SQLite's C interface with integer keys, nothing around it. Per message one delivery
 * is inserted and the one `lag` before it deleted; per transaction at most 20 cursors are moved. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cbench.h"

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK; }

int sqlite_loop(
    const char *path, int64_t messages, int batch, const char *message, int message_length, double *cpu, double *wall) {
    const int64_t lag = 200;
    sqlite3 *db = NULL;
    sqlite3_stmt *begin = NULL, *commit = NULL, *insert = NULL, *drop = NULL, *cursor = NULL;
    int good = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK
        && run(db, "PRAGMA journal_mode = WAL") && run(db, "PRAGMA synchronous = NORMAL")
        && run(db, "CREATE TABLE delivery (row INTEGER PRIMARY KEY, account INTEGER, channel INTEGER, sequence INTEGER, "
                   "id TEXT, message BLOB); CREATE TABLE cursor (channel INTEGER PRIMARY KEY, sequence INTEGER)")
        && sqlite3_prepare_v2(db, "BEGIN IMMEDIATE", -1, &begin, NULL) == SQLITE_OK
        && sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL) == SQLITE_OK
        && sqlite3_prepare_v2(db, "INSERT INTO delivery VALUES (?1, ?2, ?3, ?4, ?5, ?6)", -1, &insert, NULL) == SQLITE_OK
        && sqlite3_prepare_v2(db, "DELETE FROM delivery WHERE row = ?1", -1, &drop, NULL) == SQLITE_OK
        && sqlite3_prepare_v2(db, "REPLACE INTO cursor VALUES (?1, ?2)", -1, &cursor, NULL) == SQLITE_OK;
    double cpu_before = seconds(CLOCK_PROCESS_CPUTIME_ID), before = seconds(CLOCK_MONOTONIC);
    for (int64_t first = 1; good && first <= messages; first += batch) {
        good = sqlite3_step(begin) == SQLITE_DONE;
        sqlite3_reset(begin);
        for (int64_t row = first; good && row < first + batch; row++) {
            char id[64];
            int length = snprintf(id, sizeof id, "message-%012lld-0123456789abcdef", (long long)row);
            sqlite3_bind_int64(insert, 1, row);
            sqlite3_bind_int64(insert, 2, 1 + row % 50);
            sqlite3_bind_int64(insert, 3, 1 + row % 50);
            sqlite3_bind_int64(insert, 4, row);
            sqlite3_bind_text(insert, 5, id, length, SQLITE_STATIC);
            sqlite3_bind_blob(insert, 6, message, message_length, SQLITE_STATIC);
            good = sqlite3_step(insert) == SQLITE_DONE;
            sqlite3_reset(insert);
            sqlite3_bind_int64(drop, 1, row - lag);
            good = good && sqlite3_step(drop) == SQLITE_DONE;
            sqlite3_reset(drop);
        }
        for (int number = 0; good && number < batch && number < 20; number++) {
            sqlite3_bind_int64(cursor, 1, 1 + (first + number) % 50);
            sqlite3_bind_int64(cursor, 2, first);
            good = sqlite3_step(cursor) == SQLITE_DONE;
            sqlite3_reset(cursor);
        }
        good = good && sqlite3_step(commit) == SQLITE_DONE;
        sqlite3_reset(commit);
    }
    *cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_before;
    *wall = seconds(CLOCK_MONOTONIC) - before;
    sqlite3_finalize(begin);
    sqlite3_finalize(commit);
    sqlite3_finalize(insert);
    sqlite3_finalize(drop);
    sqlite3_finalize(cursor);
    sqlite3_close(db);
    return good;
}

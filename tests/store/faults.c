/* SPDX-License-Identifier: MIT */
/* A VFS that is the system's own but for the methods that write and sync. */
#include "faults.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>

static sqlite3_vfs faulty;
static sqlite3_vfs *real;
static sqlite3_io_methods db_methods;
static sqlite3_io_methods wal_methods;
static const sqlite3_io_methods *real_methods; /* writing and syncing are the same for both */
static _Atomic enum fault current;
static _Atomic int failed;

static int write_or_fail(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
    enum fault fault = atomic_load(&current);
    if (fault != FAULT_DISK_FULL && fault != FAULT_WRITE)
        return real_methods->xWrite(file, bytes, len, at);
    atomic_fetch_add(&failed, 1);
    return fault == FAULT_DISK_FULL ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

static int sync_or_fail(sqlite3_file *file, int flags)
{
    if (atomic_load(&current) != FAULT_SYNC)
        return real_methods->xSync(file, flags);
    atomic_fetch_add(&failed, 1);
    return SQLITE_IOERR_FSYNC;
}

/* The two differ in how they lock. */
static void replace(sqlite3_file *file, sqlite3_io_methods *methods)
{
    real_methods = file->pMethods;
    *methods = *real_methods;
    methods->xWrite = write_or_fail;
    methods->xSync = sync_or_fail;
    file->pMethods = methods;
}

static int open_faulty(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
    (void)vfs;
    int rc = real->xOpen(real, name, file, flags, ret_flags);
    if (rc == SQLITE_OK && flags & SQLITE_OPEN_MAIN_DB)
        replace(file, &db_methods);
    if (rc == SQLITE_OK && flags & SQLITE_OPEN_WAL)
        replace(file, &wal_methods);
    return rc;
}

void faults_install(void)
{
    real = sqlite3_vfs_find(NULL);
    faulty = *real;
    faulty.zName = "faulty";
    faulty.xOpen = open_faulty;
    (void)sqlite3_vfs_register(&faulty, 1);
}

void faults_set(enum fault fault)
{
    atomic_store(&current, fault);
}

int faults_count(void)
{
    return atomic_load(&failed);
}

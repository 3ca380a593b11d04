/* SPDX-License-Identifier: MIT */
/*
 * Faults: SQLite's files on a disk that fails when told to.
 *
 * After faults_install every database opened in this process goes through here.
 */
#ifndef TESTS_STORE_FAULTS_H
#define TESTS_STORE_FAULTS_H

enum fault {
    FAULT_NONE,
    FAULT_DISK_FULL, /* no write succeeds: there is no space */
    FAULT_WRITE,     /* no write succeeds: an I/O error */
    FAULT_SYNC,      /* writes succeed, but making them durable does not */
};

void faults_install(void);

/* From now on, until told otherwise; may be called while databases are in use. */
void faults_set(enum fault fault);

/* How often a write or a sync was failed. */
int faults_count(void);

#endif

/* Loaded into a proxy by its tests (LD_PRELOAD): remembers what each write to the ledger's files has replaced, until
 * the file is synced, in files that outlive the proxy. A test can then take back from the disk what no sync has
 * brought there, as a power cut may. While the file CIMF_UNSYNCED.hold exists, no sync comes to an end.
 *
 * CIMF_UNSYNCED is the path of the ledger. The log of ledger.db is CIMF_UNSYNCED.0, of ledger.db-wal .1: a number of
 * bytes in use, then records: offset, length, length of what was there, size of the file, what was there. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_BYTES (256ul << 20)

static struct log {
	char path[PATH_MAX];
	uint8_t *bytes;
} logs[2];
static char hold[PATH_MAX];

__attribute__((constructor)) static void start(void)
{
	const char *ledger = getenv("CIMF_UNSYNCED");
	if (!ledger)
		return;
	snprintf(hold, sizeof hold, "%s.hold", ledger);
	for (int number = 0; number < 2; number++) {
		struct log *log = &logs[number];
		char name[PATH_MAX];
		snprintf(log->path, sizeof log->path, number ? "%s-wal" : "%s", ledger);
		snprintf(name, sizeof name, "%s.%d", ledger, number);
		int fd = open(name, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || ftruncate(fd, LOG_BYTES) < 0)
			abort();
		log->bytes = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (log->bytes == MAP_FAILED)
			abort();
		close(fd);
	}
}

static struct log *log_of(int fd)
{
	char link[64], path[PATH_MAX];
	if (!logs[0].bytes)
		return NULL;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t length = readlink(link, path, sizeof path - 1);
	if (length < 0)
		return NULL;
	path[length] = 0;
	for (int number = 0; number < 2; number++)
		if (!strcmp(path, logs[number].path))
			return &logs[number];
	return NULL;
}

static ssize_t old_pread(int fd, void *to, size_t length, off_t at)
{
	ssize_t (*real)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread64");
	return real(fd, to, length, at);
}

/* What is from `at` on will be replaced by so many bytes. */
static void remember(int fd, off_t at, uint64_t length)
{
	struct log *log = log_of(fd);
	struct stat found;
	if (!log || fstat(fd, &found) < 0)
		return;
	uint64_t *used = (uint64_t *)log->bytes;
	uint8_t *record = log->bytes + 8 + *used;
	uint64_t there = at < found.st_size ? (uint64_t)(found.st_size - at) : 0;
	if (there > length)
		there = length;
	if (*used + 64 + there > LOG_BYTES)
		abort();
	uint64_t head[4] = { (uint64_t)at, length, there, (uint64_t)found.st_size };
	memcpy(record, head, sizeof head);
	if (there && old_pread(fd, record + sizeof head, there, at) != (ssize_t)there)
		abort();
	__atomic_store_n(used, *used + sizeof head + there, __ATOMIC_RELEASE);
}

static int synced(int fd, const char *name)
{
	int (*real)(int) = dlsym(RTLD_NEXT, name);
	struct log *log = log_of(fd);
	while (log && access(hold, F_OK) == 0)
		usleep(5000);
	int result = real(fd);
	if (log && result == 0)
		__atomic_store_n((uint64_t *)log->bytes, 0, __ATOMIC_RELEASE);
	return result;
}

int fsync(int fd)
{
	return synced(fd, "fsync");
}

int fdatasync(int fd)
{
	return synced(fd, "fdatasync");
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	ssize_t (*real)(int, const void *, size_t) = dlsym(RTLD_NEXT, "write");
	off_t at = lseek(fd, 0, SEEK_CUR);
	if (at >= 0)
		remember(fd, at, length);
	return real(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at)
{
	ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, "pwrite64");
	remember(fd, at, length);
	return real(fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at)
{
	return pwrite64(fd, bytes, length, at);
}

static int cut(int fd, off_t size)
{
	int (*real)(int, off_t) = dlsym(RTLD_NEXT, "ftruncate64");
	struct stat found;
	if (fstat(fd, &found) == 0 && found.st_size > size)
		remember(fd, size, (uint64_t)(found.st_size - size));
	return real(fd, size);
}

int ftruncate64(int fd, off_t size)
{
	return cut(fd, size);
}

int ftruncate(int fd, off_t size)
{
	return cut(fd, size);
}

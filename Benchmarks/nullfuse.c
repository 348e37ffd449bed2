/*
 * A FUSE server that does nothing but answer: files are in memory, nothing is written anywhere.
 *
 * What a mount of gefs could be at best: the same kernel, the same libfuse, the same requests.
 *
 *     cc -O2 -o nullfuse nullfuse.c $(pkg-config --cflags --libs fuse3)
 *     nullfuse DIRECTORY     stays until DIRECTORY is unmounted
 */
#define FUSE_USE_VERSION 312
#define _GNU_SOURCE
#include <errno.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DAY 86400.0
#define TRANSFER (1 << 20)

struct node;

/* One name in a directory; its place in `slots` is its offset, so that listings go on where they were. */
struct entry {
    char *name;
    struct node *node;
    struct entry *next;
    size_t slot;
};

struct node {
    struct stat stat;
    uint64_t lookups;
    unsigned links;
    struct node *parent;
    /* directories */
    struct entry **buckets;
    size_t bucket_count, count;
    struct entry **slots;
    size_t slot_count, slot_capacity;
    /* files and symbolic links */
    char *data;
    size_t capacity;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *root;
static ino_t next_number = 2;

static struct node *node_of(fuse_ino_t ino) {
    return ino == FUSE_ROOT_ID ? root : (struct node *)(uintptr_t)ino;
}

static void touch(struct node *node) {
    clock_gettime(CLOCK_REALTIME, &node->stat.st_mtim);
    node->stat.st_ctim = node->stat.st_mtim;
}

static struct node *make_node(mode_t mode, fuse_req_t req) {
    struct node *node = calloc(1, sizeof *node);
    node->stat.st_ino = next_number++;
    node->stat.st_mode = mode;
    node->stat.st_nlink = S_ISDIR(mode) ? 2 : 1;
    node->stat.st_blksize = 16384;
    if (req) {
        node->stat.st_uid = fuse_req_ctx(req)->uid;
        node->stat.st_gid = fuse_req_ctx(req)->gid;
    }
    touch(node);
    node->stat.st_atim = node->stat.st_mtim;
    node->links = 1;
    return node;
}

static void forget_node(struct node *node) {
    if (node == root || node->lookups || node->links) return;
    free(node->buckets);
    free(node->slots);
    free(node->data);
    free(node);
}

static size_t hash(const char *name) {
    uint64_t h = 1469598103934665603u;
    while (*name) h = (h ^ (unsigned char)*name++) * 1099511628211u;
    return h ^ h >> 29;
}

static struct entry *find(struct node *dir, const char *name) {
    if (!dir->bucket_count) return NULL;
    struct entry *e = dir->buckets[hash(name) & (dir->bucket_count - 1)];
    while (e && strcmp(e->name, name)) e = e->next;
    return e;
}

static void grow(struct node *dir) {
    size_t n = dir->bucket_count ? dir->bucket_count * 4 : 16;
    struct entry **buckets = calloc(n, sizeof *buckets);
    for (size_t i = 0; i < dir->bucket_count; i++)
        for (struct entry *e = dir->buckets[i], *next; e; e = next) {
            next = e->next;
            struct entry **b = &buckets[hash(e->name) & (n - 1)];
            e->next = *b;
            *b = e;
        }
    free(dir->buckets);
    dir->buckets = buckets;
    dir->bucket_count = n;
}

static void add(struct node *dir, const char *name, struct node *node) {
    if (dir->count >= dir->bucket_count) grow(dir);
    if (dir->slot_count == dir->slot_capacity) {
        dir->slot_capacity = dir->slot_capacity ? dir->slot_capacity * 2 : 16;
        dir->slots = realloc(dir->slots, dir->slot_capacity * sizeof *dir->slots);
    }
    struct entry *e = malloc(sizeof *e);
    struct entry **b = &dir->buckets[hash(name) & (dir->bucket_count - 1)];
    *e = (struct entry){strdup(name), node, *b, dir->slot_count};
    *b = e;
    dir->slots[dir->slot_count++] = e;
    dir->count++;
    if (S_ISDIR(node->stat.st_mode)) {
        node->parent = dir;
        dir->stat.st_nlink++;
    }
    touch(dir);
}

static struct node *take(struct node *dir, const char *name) {
    struct entry **e = &dir->buckets[hash(name) & (dir->bucket_count - 1)];
    while (strcmp((*e)->name, name)) e = &(*e)->next;
    struct entry *gone = *e;
    struct node *node = gone->node;
    *e = gone->next;
    dir->slots[gone->slot] = NULL;
    if (gone->slot == dir->slot_count - 1) dir->slot_count--;
    free(gone->name);
    free(gone);
    if (!--dir->count) dir->slot_count = 0;
    if (S_ISDIR(node->stat.st_mode)) dir->stat.st_nlink--;
    touch(dir);
    return node;
}

static void drop(struct node *node) {
    node->links--;
    node->stat.st_nlink = S_ISDIR(node->stat.st_mode) ? 0 : node->links;
    forget_node(node);
}

static struct fuse_entry_param entry_of(struct node *node) {
    struct fuse_entry_param e = {0};
    e.ino = node == root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)node;
    e.attr = node->stat;
    e.attr_timeout = e.entry_timeout = DAY;
    node->lookups++;
    return e;
}

static void do_init(void *data, struct fuse_conn_info *c) {
    (void)data;
    c->max_write = c->max_read = c->max_readahead = TRANSFER;
    c->max_background = 64;
    c->congestion_threshold = 48;
    c->want |= c->capable & (FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
                             FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_ASYNC_DIO | FUSE_CAP_CACHE_SYMLINKS |
                             FUSE_CAP_EXPLICIT_INVAL_DATA);
    c->want &= ~FUSE_CAP_AUTO_INVAL_DATA;
    c->time_gran = 1;
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
    pthread_mutex_lock(&lock);
    struct entry *found = find(node_of(parent), name);
    struct fuse_entry_param e = {.entry_timeout = DAY};
    if (found) e = entry_of(found->node);
    pthread_mutex_unlock(&lock);
    fuse_reply_entry(req, &e);
}

static void forget_one(fuse_ino_t ino, uint64_t count) {
    struct node *node = node_of(ino);
    if (node == root) return;
    node->lookups -= count < node->lookups ? count : node->lookups;
    forget_node(node);
}

static void do_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count) {
    pthread_mutex_lock(&lock);
    forget_one(ino, count);
    pthread_mutex_unlock(&lock);
    fuse_reply_none(req);
}

static void do_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *items) {
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < count; i++) forget_one(items[i].ino, items[i].nlookup);
    pthread_mutex_unlock(&lock);
    fuse_reply_none(req);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    (void)fi;
    pthread_mutex_lock(&lock);
    struct stat s = node_of(ino)->stat;
    pthread_mutex_unlock(&lock);
    fuse_reply_attr(req, &s, DAY);
}

static void resize(struct node *node, size_t size) {
    if (size > node->capacity) {
        size_t capacity = node->capacity ? node->capacity : 4096;
        while (capacity < size) capacity *= 2;
        node->data = realloc(node->data, capacity);
        node->capacity = capacity;
    }
    if (size > (size_t)node->stat.st_size)
        memset(node->data + node->stat.st_size, 0, size - node->stat.st_size);
    node->stat.st_size = size;
    node->stat.st_blocks = (size + 511) / 512;
}

static void do_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *a, int fields, struct fuse_file_info *fi) {
    (void)fi;
    pthread_mutex_lock(&lock);
    struct node *node = node_of(ino);
    if (fields & FUSE_SET_ATTR_MODE) node->stat.st_mode = (node->stat.st_mode & S_IFMT) | (a->st_mode & 07777);
    if (fields & FUSE_SET_ATTR_UID) node->stat.st_uid = a->st_uid;
    if (fields & FUSE_SET_ATTR_GID) node->stat.st_gid = a->st_gid;
    if (fields & FUSE_SET_ATTR_SIZE) resize(node, a->st_size), touch(node);
    if (fields & FUSE_SET_ATTR_ATIME) node->stat.st_atim = a->st_atim;
    if (fields & FUSE_SET_ATTR_MTIME) node->stat.st_mtim = a->st_mtim;
    clock_gettime(CLOCK_REALTIME, &node->stat.st_ctim);
    struct stat s = node->stat;
    pthread_mutex_unlock(&lock);
    fuse_reply_attr(req, &s, DAY);
}

static int make(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, const char *content,
                struct fuse_entry_param *e) {
    pthread_mutex_lock(&lock);
    struct node *dir = node_of(parent);
    int error = find(dir, name) ? EEXIST : 0;
    if (!error) {
        struct node *node = make_node(mode, req);
        if (content) {
            resize(node, strlen(content));
            memcpy(node->data, content, strlen(content));
        }
        add(dir, name, node);
        *e = entry_of(node);
    }
    pthread_mutex_unlock(&lock);
    return error;
}

static void reply_made(fuse_req_t req, int error, struct fuse_entry_param *e) {
    if (error) fuse_reply_err(req, error);
    else fuse_reply_entry(req, e);
}

static void do_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device) {
    (void)device;
    struct fuse_entry_param e;
    reply_made(req, make(req, parent, name, mode, NULL, &e), &e);
}

static void do_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode) {
    struct fuse_entry_param e;
    reply_made(req, make(req, parent, name, S_IFDIR | mode, NULL, &e), &e);
}

static void do_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name) {
    struct fuse_entry_param e;
    reply_made(req, make(req, parent, name, S_IFLNK | 0777, target, &e), &e);
}

static void do_readlink(fuse_req_t req, fuse_ino_t ino) {
    pthread_mutex_lock(&lock);
    struct node *node = node_of(ino);
    char *target = strndup(node->data, node->stat.st_size);
    pthread_mutex_unlock(&lock);
    fuse_reply_readlink(req, target);
    free(target);
}

static void do_remove(fuse_req_t req, fuse_ino_t parent, const char *name) {
    pthread_mutex_lock(&lock);
    struct node *dir = node_of(parent);
    struct entry *e = find(dir, name);
    int error = !e ? ENOENT : e->node->count ? ENOTEMPTY : 0;
    if (!error) drop(take(dir, name));
    pthread_mutex_unlock(&lock);
    fuse_reply_err(req, error);
}

static void do_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name) {
    pthread_mutex_lock(&lock);
    struct node *node = node_of(ino), *dir = node_of(parent);
    struct fuse_entry_param e;
    int error = find(dir, name) ? EEXIST : 0;
    if (!error) {
        node->stat.st_nlink = ++node->links;
        add(dir, name, node);
        e = entry_of(node);
    }
    pthread_mutex_unlock(&lock);
    reply_made(req, error, &e);
}

static void do_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
                      unsigned flags) {
    if (flags) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    pthread_mutex_lock(&lock);
    struct node *from = node_of(parent), *to = node_of(new_parent);
    struct entry *e = find(from, name), *other = find(to, new_name);
    int error = !e ? ENOENT : other && other->node->count ? ENOTEMPTY : 0;
    if (!error && !(other && other->node == e->node)) {
        if (other) drop(take(to, new_name));
        add(to, new_name, take(from, name));
    }
    pthread_mutex_unlock(&lock);
    fuse_reply_err(req, error);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    if (fi->flags & O_TRUNC) {
        pthread_mutex_lock(&lock);
        resize(node_of(ino), 0);
        touch(node_of(ino));
        pthread_mutex_unlock(&lock);
    }
    fi->keep_cache = 1;
    fuse_reply_open(req, fi);
}

static void do_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi) {
    struct fuse_entry_param e;
    int error = make(req, parent, name, mode, NULL, &e);
    fi->keep_cache = 1;
    if (error) fuse_reply_err(req, error);
    else fuse_reply_create(req, &e, fi);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    (void)ino, (void)fi;
    fuse_reply_err(req, 0);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)fi;
    pthread_mutex_lock(&lock);
    struct node *node = node_of(ino);
    size_t count = offset >= node->stat.st_size ? 0 : node->stat.st_size - offset;
    if (count > size) count = size;
    fuse_reply_buf(req, count ? node->data + offset : NULL, count);
    pthread_mutex_unlock(&lock);
}

static void do_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                     struct fuse_file_info *fi) {
    (void)fi;
    pthread_mutex_lock(&lock);
    struct node *node = node_of(ino);
    if (offset + size > (size_t)node->stat.st_size) resize(node, offset + size);
    memcpy(node->data + offset, bytes, size);
    touch(node);
    pthread_mutex_unlock(&lock);
    fuse_reply_write(req, size);
}

static void do_sync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi) {
    (void)ino, (void)data_only, (void)fi;
    fuse_reply_err(req, 0);
}

static void do_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi) {
    (void)ino;
    fi->keep_cache = fi->cache_readdir = 1;
    fuse_reply_open(req, fi);
}

static void list(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, int plus) {
    char *page = malloc(size);
    size_t used = 0;
    pthread_mutex_lock(&lock);
    struct node *dir = node_of(ino);
    for (size_t at = offset;; at++) {
        struct fuse_entry_param e = {0};
        const char *name;
        struct node *node = NULL;
        if (at < 2) {
            name = at ? ".." : ".";
            e.attr = (at && dir->parent ? dir->parent : dir)->stat;
        } else {
            if (at - 2 >= dir->slot_count) break;
            struct entry *found = dir->slots[at - 2];
            if (!found) continue;
            name = found->name;
            node = found->node;
            e.attr = node->stat;
        }
        size_t left = size - used, taken;
        if (plus) {
            if (fuse_add_direntry_plus(req, NULL, 0, name, NULL, 0) > left) break;
            if (node) e = entry_of(node);
            taken = fuse_add_direntry_plus(req, page + used, left, name, &e, at + 1);
        } else {
            taken = fuse_add_direntry(req, page + used, left, name, &e.attr, at + 1);
            if (taken > left) break;
        }
        used += taken;
    }
    pthread_mutex_unlock(&lock);
    fuse_reply_buf(req, page, used);
    free(page);
}

static void do_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)fi;
    list(req, ino, size, offset, 0);
}

static void do_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi) {
    (void)fi;
    list(req, ino, size, offset, 1);
}

static void do_statfs(fuse_req_t req, fuse_ino_t ino) {
    (void)ino;
    struct statvfs s = {.f_bsize = 16384, .f_frsize = 16384, .f_blocks = 1 << 20, .f_bfree = 1 << 20,
                        .f_bavail = 1 << 20, .f_namemax = 255};
    fuse_reply_statfs(req, &s);
}

static const struct fuse_lowlevel_ops operations = {
    .init = do_init, .lookup = do_lookup, .forget = do_forget, .forget_multi = do_forget_multi,
    .getattr = do_getattr, .setattr = do_setattr, .readlink = do_readlink, .mknod = do_mknod,
    .mkdir = do_mkdir, .symlink = do_symlink, .unlink = do_remove, .rmdir = do_remove,
    .rename = do_rename, .link = do_link, .open = do_open, .create = do_create,
    .release = do_release, .read = do_read, .write = do_write, .fsync = do_sync,
    .fsyncdir = do_sync, .opendir = do_opendir, .readdir = do_readdir,
    .readdirplus = do_readdirplus, .releasedir = do_release, .statfs = do_statfs,
};

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: nullfuse DIRECTORY\n");
        return 2;
    }
    root = make_node(S_IFDIR | 0755, NULL);
    root->stat.st_ino = 1;
    char *words[] = {"nullfuse", "-o", "fsname=null,subtype=null,default_permissions,max_read=1048576,allow_other"};
    struct fuse_args args = FUSE_ARGS_INIT(3, words);
    struct fuse_session *session = fuse_session_new(&args, &operations, sizeof operations, NULL);
    if (!session || fuse_session_mount(session, argv[1])) return 1;
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, 0);
    fuse_loop_cfg_set_max_threads(config, 10);
    fuse_loop_cfg_set_idle_threads(config, 10);
    fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return 0;
}

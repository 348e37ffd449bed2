/*
 * load9p -- many 9P2000 connections at once, each with some operations outstanding.
 *
 * usage: load9p [-c connections] [-q outstanding] [-t op] [-n operations | -s seconds] [-d directory | -L] [-N files]
 *               [-b first] [-w warmup] [-p serverpid] HOST PORT ANAME UNAME
 *        load9p -c connections -f fids [-w seconds] ... opens so many fids in all, waits, clunks them
 *
 * HOST may be unix!/path (PORT is then ignored). One JSON object on stdout.
 * op: stat (walk, stat, clunk of a random even file), read (4 KiB of one random even file: walk, open, read,
 *     clunk), pread (4 KiB of one file, open all the time), create (clone, create, clunk of odd files in scattered
 *     order), remove (walk and remove of what create made), mkfiles
 *     (create of the even files from 2b on, ascending; the directory, too, where b is 0), rmfiles (remove of those).
 * Files are called f%09d, as gefs-bench calls them; even numbers up to 2N are there, odd ones are not.
 * -L: the files are in directories of a thousand, as the layout `nested` of gefs-bench has them.
 * An operation is sequential in itself; latency is that of the whole operation.
 *
 * Besides totals it says what each connection got: share_min and share_max are the least and the most operations of a
 * connection as a part of an equal share; p99_of_fair is the largest p99 latency of a connection over its fair share,
 * connections x outstanding / throughput, the latency that everybody has where all get the same.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <stdint.h>
#include <stdarg.h>
#include <string.h>
#include <errno.h>
#include <unistd.h>
#include <fcntl.h>
#include <time.h>
#include <netdb.h>
#include <dirent.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

enum { Tversion=100, Tattach=104, Rerror=107, Twalk=110, Topen=112, Tcreate=114, Tread=116, Tclunk=120, Tremove=122, Tstat=124, Twstat=126 };
enum { Ostat, Oread, Opread, Ocreate, Oremove, Omkfiles, Ormfiles, Onone };
static const char *opnames[] = { "stat", "read", "pread", "create", "remove", "mkfiles", "rmfiles" };
#define NOFID 0xffffffffu
#define MSIZE 8216
#define MAXQ 256
#define ROOT 1
#define DIR9 2
#define FILE9 3
#define FIDBASE 100

typedef struct Op Op;
struct Op {
	int state;
	int64_t i;
	double start;
};

typedef struct Conn Conn;
struct Conn {
	int fd;
	int wantwrite;
	unsigned char *out, *in;
	size_t outn, outo, inn;
	size_t outcap, incap;
	Op ops[MAXQ];
	int64_t done;
	float *lat;
	size_t nlat, caplat;
};

static Conn *conns;
static int nconn = 1, q = 8, op = Ostat;
static int64_t nops = -1, nfiles = 10000, base9, started, finished, nfids;
static double seconds, warmup = 0.3, until;
static char *dir = "one", *host, *port, *aname, *uname;
static int srvpid, epfd, nested;

static void die(const char *fmt, ...) __attribute__((format(printf,1,2), noreturn));
static void
die(const char *fmt, ...)
{
	va_list a;

	va_start(a, fmt);
	fprintf(stderr, "load9p: ");
	vfprintf(stderr, fmt, a);
	fprintf(stderr, "\n");
	exit(1);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec/1e9;
}

static uint64_t seed = 88172645463325252ULL;
static uint64_t rnd(void){ seed ^= seed<<13; seed ^= seed>>7; seed ^= seed<<17; return seed; }

static void
room(Conn *c, size_t n)
{
	if(c->outn + n <= c->outcap)
		return;
	c->outcap = (c->outn + n)*2;
	if((c->out = realloc(c->out, c->outcap)) == NULL)
		die("no memory");
}

static void p8(Conn *c, unsigned v){ c->out[c->outn++] = v; }
static void p16(Conn *c, unsigned v){ p8(c, v); p8(c, v>>8); }
static void p32(Conn *c, uint32_t v){ p16(c, v); p16(c, v>>16); }
static void p64(Conn *c, uint64_t v){ p32(c, v); p32(c, v>>32); }
static void pstr(Conn *c, const char *s){ size_t n = strlen(s); p16(c, n); memcpy(c->out+c->outn, s, n); c->outn += n; }
static uint32_t g32(unsigned char *p){ return p[0] | p[1]<<8 | p[2]<<16 | (uint32_t)p[3]<<24; }
static unsigned g16(unsigned char *p){ return p[0] | p[1]<<8; }

static size_t begin(Conn *c, int type, int tag){ size_t o; room(c, 600); o = c->outn; p32(c, 0); p8(c, type); p16(c, tag); return o; }
static void end(Conn *c, size_t o){ uint32_t n = c->outn - o; unsigned char *p = c->out+o; p[0] = n; p[1] = n>>8; p[2] = n>>16; p[3] = n>>24; }

static void twalk(Conn *c, int tag, uint32_t f, uint32_t nf, const char *name){ size_t o = begin(c, Twalk, tag); p32(c, f); p32(c, nf); if(name == NULL) p16(c, 0); else{ p16(c, 1); pstr(c, name); } end(c, o); }
static void tfid(Conn *c, int type, int tag, uint32_t f){ size_t o = begin(c, type, tag); p32(c, f); end(c, o); }
static void topen(Conn *c, int tag, uint32_t f, int mode){ size_t o = begin(c, Topen, tag); p32(c, f); p8(c, mode); end(c, o); }
static void tcreate(Conn *c, int tag, uint32_t f, const char *n, uint32_t perm, int mode){ size_t o = begin(c, Tcreate, tag); p32(c, f); pstr(c, n); p32(c, perm); p8(c, mode); end(c, o); }
static void tread(Conn *c, int tag, uint32_t f, uint64_t off, uint32_t n){ size_t o = begin(c, Tread, tag); p32(c, f); p64(c, off); p32(c, n); end(c, o); }

/* to a directory, and to a file in it unless that is NULL; in directories of a thousand where they are nested */
static void wpath(Conn *c, int tag, uint32_t nf, int64_t i, const char *name)
{
	char a[32], b[32];
	size_t o;

	if(!nested){
		twalk(c, tag, DIR9, nf, name);
		return;
	}
	o = begin(c, Twalk, tag); p32(c, ROOT); p32(c, nf); p16(c, name ? 4 : 3);
	snprintf(a, sizeof a, "%lld", (long long)(i/2/1000/100));
	snprintf(b, sizeof b, "%lld", (long long)(i/2/1000%100));
	pstr(c, "nested"); pstr(c, a); pstr(c, b);
	if(name)
		pstr(c, name);
	end(c, o);
}
static char* fname(int64_t i){ static char b[32]; snprintf(b, sizeof b, "f%09lld", (long long)i); return b; }

static int64_t
gcd(int64_t a, int64_t b)
{
	return b == 0 ? a : gcd(b, a%b);
}

/* the i-th odd file: each of them once, in an order that looks like chance */
static int64_t
odd(int64_t i)
{
	static int64_t step;

	if(step == 0)
		for(step = nfiles*618/1000 | 1; gcd(step, nfiles) != 1; step += 2)
			;
	return 2*((base9+i)%nfiles*step%nfiles)+1;
}

/* sends the next message of an operation; 0 when it is over */
static int
step(Conn *c, int tag)
{
	Op *o = &c->ops[tag];
	uint32_t fid = FIDBASE+tag;
	int64_t i;

	switch(op){
	case Ostat:
		switch(o->state){
		case 0: i = 2*(int64_t)(rnd()%nfiles); wpath(c, tag, fid, i, fname(i)); return 1;
		case 1: tfid(c, Tstat, tag, fid); return 1;
		case 2: tfid(c, Tclunk, tag, fid); return 1;
		}
		return 0;
	case Oread:
		switch(o->state){
		case 0: i = 2*(int64_t)(rnd()%nfiles); wpath(c, tag, fid, i, fname(i)); return 1;
		case 1: topen(c, tag, fid, 0); return 1;
		case 2: tread(c, tag, fid, 0, 4096); return 1;
		case 3: tfid(c, Tclunk, tag, fid); return 1;
		}
		return 0;
	case Opread:
		if(o->state > 0)
			return 0;
		tread(c, tag, FILE9, 0, 4096);
		return 1;
	case Ocreate:
	case Omkfiles:
		switch(o->state){
		case 0: wpath(c, tag, fid, op == Ocreate ? odd(o->i) : 2*(base9+o->i), NULL); return 1;
		case 1: tcreate(c, tag, fid, fname(op == Ocreate ? odd(o->i) : 2*(base9+o->i)), 0644, 1); return 1;
		case 2: tfid(c, Tclunk, tag, fid); return 1;
		}
		return 0;
	case Oremove:
	case Ormfiles:
		switch(o->state){
		case 0: i = op == Oremove ? odd(o->i) : 2*(base9+o->i); wpath(c, tag, fid, i, fname(i)); return 1;
		case 1: tfid(c, Tremove, tag, fid); return 1;
		}
		return 0;
	}
	return 0;
}

static int
start(Conn *c, int tag, double t)
{
	Op *o = &c->ops[tag];

	if((nops >= 0 && started >= nops) || (seconds > 0 && t >= until))
		return 0;
	o->state = 0;
	o->i = started++;
	o->start = t;
	return step(c, tag);
}

static void
push(Conn *c)
{
	ssize_t r;
	struct epoll_event e;

	while(c->outo < c->outn){
		r = write(c->fd, c->out+c->outo, c->outn-c->outo);
		if(r < 0 && errno == EINTR)
			continue;
		if(r < 0 && errno == EAGAIN)
			break;
		if(r < 0)
			die("write: %s", strerror(errno));
		c->outo += r;
	}
	if(c->outo == c->outn)
		c->outo = c->outn = 0;
	if(c->wantwrite != (c->outn > 0)){
		c->wantwrite = c->outn > 0;
		e.events = EPOLLIN | (c->wantwrite ? EPOLLOUT : 0);
		e.data.ptr = c;
		epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &e);
	}
}

/* blocking: the one answer to what was sent */
static unsigned char*
rpc(Conn *c)
{
	ssize_t r;
	size_t have = 0;
	int type = c->out[4];

	for(c->outo = 0; c->outo < c->outn; c->outo += r)
		if((r = write(c->fd, c->out+c->outo, c->outn-c->outo)) <= 0)
			die("write: %s", strerror(errno));
	c->outn = c->outo = 0;
	while(have < 4 || have < g32(c->in)){
		if((r = read(c->fd, c->in+have, c->incap-have)) <= 0)
			die("connection closed: %s", r < 0 ? strerror(errno) : "eof");
		have += r;
	}
	if(c->in[4] == Rerror)
		die("T%d: %.*s", type, g16(c->in+7), c->in+9);
	return c->in;
}

/* blocking: the answers to n messages that were gathered */
static void
answers(Conn *c, int n)
{
	size_t o = 0;
	ssize_t r;

	push(c);
	while(n > 0){
		if((r = read(c->fd, c->in+c->inn, c->incap-c->inn)) <= 0)
			die("connection closed: %s", r < 0 ? strerror(errno) : "eof");
		c->inn += r;
		for(o = 0; c->inn - o >= 4 && c->inn - o >= g32(c->in+o); o += g32(c->in+o), n--)
			if(c->in[o+4] == Rerror)
				die("%.*s", g16(c->in+o+7), c->in+o+9);
		memmove(c->in, c->in+o, c->inn-o);
		c->inn -= o;
	}
}

static void
dial(Conn *c)
{
	struct addrinfo h = {.ai_socktype = SOCK_STREAM}, *ai;
	struct sockaddr_un su = {.sun_family = AF_UNIX};
	size_t o;
	int one = 1;

	c->incap = 1<<16;
	c->in = malloc(c->incap);
	if(strncmp(host, "unix!", 5) == 0){
		snprintf(su.sun_path, sizeof su.sun_path, "%s", host+5);
		c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if(connect(c->fd, (void*)&su, sizeof su) < 0)
			die("connect %s: %s", host, strerror(errno));
	}else{
		if(getaddrinfo(host, port, &h, &ai) != 0)
			die("cannot resolve %s", host);
		c->fd = socket(ai->ai_family, SOCK_STREAM, 0);
		if(connect(c->fd, ai->ai_addr, ai->ai_addrlen) < 0)
			die("connect %s!%s: %s", host, port, strerror(errno));
		freeaddrinfo(ai);
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	}
	o = begin(c, Tversion, 0xffff); p32(c, MSIZE); pstr(c, "9P2000"); end(c, o); rpc(c);
	o = begin(c, Tattach, 0); p32(c, ROOT); p32(c, NOFID); pstr(c, uname); pstr(c, aname); end(c, o); rpc(c);
}

/* the directory, made where it is missing and allowed to be */
static void
prepare(Conn *c, int first)
{
	unsigned char *p;

	if(first && op == Omkfiles && base9 == 0){
		twalk(c, 0, ROOT, DIR9, NULL); rpc(c);
		tcreate(c, 0, DIR9, dir, 0x80000000u|0777, 0); rpc(c);
		tfid(c, Tclunk, 0, DIR9); rpc(c);
	}
	twalk(c, 0, ROOT, DIR9, nested ? "nested" : dir);
	p = rpc(c);
	if(g16(p+7) != 1)
		die("no directory %s", dir);
	if(op == Opread){
		twalk(c, 0, DIR9, FILE9, fname(0)); rpc(c);
		topen(c, 0, FILE9, 0); rpc(c);
	}
}

static void
note(Conn *c, double t, double begun)
{
	c->done++;
	finished++;
	if(c->nlat == c->caplat){
		c->caplat = c->caplat ? c->caplat*2 : 1024;
		if((c->lat = realloc(c->lat, c->caplat*sizeof *c->lat)) == NULL)
			die("no memory");
	}
	c->lat[c->nlat++] = (t-begun)*1e6;
}

/* answers that came; returns how many operations are still going on */
static int
pull(Conn *c)
{
	unsigned char *p;
	size_t o = 0, n;
	ssize_t r;
	int tag, over = 0;
	double t;
	Op *op9;

	r = read(c->fd, c->in+c->inn, c->incap-c->inn);
	if(r < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if(r <= 0)
		die("connection closed: %s", r < 0 ? strerror(errno) : "eof");
	c->inn += r;
	t = now();
	while(c->inn - o >= 4 && c->inn - o >= (n = g32(c->in+o))){
		p = c->in+o;
		o += n;
		tag = g16(p+5);
		op9 = &c->ops[tag];
		if(p[4] == Rerror)
			die("operation %lld state %d: %.*s", (long long)op9->i, op9->state, g16(p+7), p+9);
		op9->state++;
		if(step(c, tag))
			continue;
		if(op9->start >= until - seconds)
			note(c, t, op9->start);
		if(!start(c, tag, t))
			over++;
	}
	memmove(c->in, c->in+o, c->inn-o);
	c->inn -= o;
	return over;
}

static double
cpu(void)
{
	char b[300];
	DIR *d;
	struct dirent *e;
	double t = 0;
	unsigned long long ns;
	FILE *f;

	if(srvpid == 0)
		return 0;
	snprintf(b, sizeof b, "/proc/%d/task", srvpid);
	if((d = opendir(b)) == NULL)
		return 0;
	while((e = readdir(d)) != NULL){
		if(e->d_name[0] == '.')
			continue;
		snprintf(b, sizeof b, "/proc/%d/task/%.20s/schedstat", srvpid, e->d_name);
		if((f = fopen(b, "r")) == NULL)
			continue;
		if(fscanf(f, "%llu", &ns) == 1)
			t += ns/1e9;
		fclose(f);
	}
	closedir(d);
	return t;
}

static long
resident(void)
{
	char b[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(b, sizeof b, "/proc/%d/status", srvpid);
	if(srvpid == 0 || (f = fopen(b, "r")) == NULL)
		return 0;
	while(fgets(line, sizeof line, f))
		if(sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static int
order(const void *a, const void *b)
{
	float x = *(const float*)a, y = *(const float*)b;

	return x < y ? -1 : x > y;
}

static void
report(double secs, double used)
{
	float *all, worst = 0;
	size_t n = 0, k;
	int64_t least = INT64_MAX, most = 0;
	double fair;
	int i;

	for(i = 0; i < nconn; i++)
		n += conns[i].nlat;
	if(n == 0)
		die("nothing was finished");
	all = malloc(n*sizeof *all);
	for(i = 0, k = 0; i < nconn; i++){
		Conn *c = &conns[i];
		if(c->nlat > 0){
			qsort(c->lat, c->nlat, sizeof *c->lat, order);
			if(c->lat[c->nlat*99/100] > worst)
				worst = c->lat[c->nlat*99/100];
			memcpy(all+k, c->lat, c->nlat*sizeof *all);
			k += c->nlat;
		}
		if(c->done < least)
			least = c->done;
		if(c->done > most)
			most = c->done;
	}
	qsort(all, n, sizeof *all, order);
	fair = nconn*(double)q/(finished/secs)*1e6;
	printf("{\"op\":\"%s\",\"connections\":%d,\"outstanding\":%d,\"n\":%lld,\"secs\":%.4f,\"value\":%.1f,\"unit\":\"/s\","
		"\"server_cpu_us\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f,\"fair_us\":%.1f,\"p99_of_fair\":%.3f,"
		"\"share_min\":%.3f,\"share_max\":%.3f}\n",
		opnames[op], nconn, q, (long long)finished, secs, finished/secs, used/finished*1e6, all[n/2], all[n*99/100],
		all[n-1], fair, worst/fair, least*(double)nconn/finished, most*(double)nconn/finished);
}

/* opens fids, waits, and clunks them; what the server holds before, with, and after */
static void
fids(void)
{
	int64_t i, each = nfids/nconn;
	long before = resident(), with, after;
	double t = now(), opened;
	int64_t n;
	int k, b, batch = 64;

	for(k = 0; k < nconn; k++)
		for(i = 0; i < each; i += n){
			n = each-i < batch ? each-i : batch;
			for(b = 0; b < n; b++)
				twalk(&conns[k], b, DIR9, FIDBASE+i+b, fname(2*((k*each+i+b)%nfiles)));
			answers(&conns[k], n);
			for(b = 0; b < n; b++)
				topen(&conns[k], b, FIDBASE+i+b, 0);
			answers(&conns[k], n);
		}
	opened = now() - t;
	with = resident();
	for(k = 0; k < nconn; k++)
		for(i = 0; i < each; i += n){
			n = each-i < batch ? each-i : batch;
			for(b = 0; b < n; b++)
				tfid(&conns[k], Tclunk, b, FIDBASE+i+b);
			answers(&conns[k], n);
		}
	usleep(warmup*1e6);
	after = resident();
	printf("{\"op\":\"fids\",\"connections\":%d,\"n\":%lld,\"secs\":%.3f,\"before_kib\":%ld,\"with_kib\":%ld,\"after_kib\":%ld,"
		"\"value\":%.1f,\"unit\":\"bytes/fid\"}\n", nconn, (long long)each*nconn, opened, before, with, after,
		(with-before)*1024.0/(each*nconn));
}

int
main(int argc, char **argv)
{
	struct epoll_event e, ready[64];
	double t, t0, c0;
	int c, i, k, n, busy;

	while((c = getopt(argc, argv, "c:q:t:n:s:d:N:b:w:p:f:L")) != -1)
		switch(c){
		case 'c': nconn = atoi(optarg); break;
		case 'q': q = atoi(optarg); break;
		case 't':
			for(op = 0; op < Onone && strcmp(optarg, opnames[op]) != 0; op++)
				;
			break;
		case 'n': nops = atoll(optarg); break;
		case 's': seconds = atof(optarg); break;
		case 'd': dir = optarg; break;
		case 'N': nfiles = atoll(optarg); break;
		case 'b': base9 = atoll(optarg); break;
		case 'w': warmup = atof(optarg); break;
		case 'p': srvpid = atoi(optarg); break;
		case 'f': nfids = atoll(optarg); break;
		case 'L': nested = 1; break;
		default: exit(2);
		}
	if(argc - optind != 4 || q < 1 || q > MAXQ || nconn < 1 || op == Onone || nfiles < 1){
		fprintf(stderr, "usage: load9p [options] HOST PORT ANAME UNAME\n");
		exit(2);
	}
	if(nops < 0 && seconds <= 0)
		seconds = 2;
	host = argv[optind]; port = argv[optind+1]; aname = argv[optind+2]; uname = argv[optind+3];
	conns = calloc(nconn, sizeof *conns);
	epfd = epoll_create1(0);
	for(i = 0; i < nconn; i++){
		dial(&conns[i]);
		prepare(&conns[i], i == 0);
	}
	if(nfids > 0){
		fids();
		return 0;
	}
	for(i = 0; i < nconn; i++){
		fcntl(conns[i].fd, F_SETFL, O_NONBLOCK);
		e.events = EPOLLIN;
		e.data.ptr = &conns[i];
		epoll_ctl(epfd, EPOLL_CTL_ADD, conns[i].fd, &e);
	}
	/* what is timed is what begins after the warm-up; a counted run has none */
	t0 = now();
	c0 = cpu();
	if(seconds > 0){
		t0 += warmup;
		until = t0 + seconds;
	}
	busy = 0;
	for(i = 0; i < nconn; i++){
		for(k = 0; k < q; k++)
			busy += start(&conns[i], k, now());
		push(&conns[i]);
	}
	for(c = 0; busy > 0; ){
		n = epoll_wait(epfd, ready, 64, -1);
		/* all are read before any is answered, as independent clients would: not one wakes the server for each message */
		for(i = 0; i < n; i++)
			if(ready[i].events & (EPOLLIN|EPOLLHUP|EPOLLERR))
				busy -= pull(ready[i].data.ptr);
		for(i = 0; i < n; i++)
			push(ready[i].data.ptr);
		if(!c && seconds > 0 && now() >= t0){
			c = 1;
			c0 = cpu();
		}
	}
	t = now();
	report(t - t0, cpu() - c0);
	return 0;
}

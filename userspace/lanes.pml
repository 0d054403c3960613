/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A lane, for Spin: every order of steps of a producer, a consumer, the memory that they share, and
 * somebody else who retires the lane, or has it settled (-DSETTLING), at any moment. lane.h has what
 * lanes are; each inline names the function of the module's or the library's that it stands for.
 *
 * One stream of RECORDS records of one extent each. The lane is offered, and comes on when an end
 * finds that it can; it is retired by that other one, by either side that goes by a call, and at
 * the end by the producer. Another one is not asked for. The ring is not modelled (cursors.pml does
 * that); but what is published there, and looked at before one sleeps, is late here, too.
 *
 * Memory: a store waits in its processor's buffer. One with release stays behind all stores
 * before it; any other may overtake them, but not one to the same place. A compare-and-exchange
 * looks at memory itself, and its store waits like one with release; nobody else changes
 * that place before. So what comes behind it may happen before others see it, as on arm64; on
 * x86 it is a barrier. Loads happen in order (what they may overtake is ThreadSanitizer's part:
 * lanes.c). A barrier waits until the buffer is empty; letting a mutex go, or looking at a queue of
 * waiters to wake them, is one here. What the kernel keeps beside changes in lane_mutex.
 *
 * What is shown: each record is received once, in order and as written (asserted); an extent has
 * one owner, for the two sides (has) as for the kernel (owner); settling and retiring refuse
 * nothing of what went by the rules, and count all of it once; in the end all extents are free;
 * nobody sleeps for what is there (a state in which nothing can go on). No look at the clock is
 * modelled but one: who waits for an extent by a call retires a lane that came on meanwhile.
 *
 * Options: POLLING: the consumer polls before it asks; MIXED: it may go by a call where it could
 * wait by the lane. Mutants, for which it must fail, are chosen by -D (userspace/run has the list).
 */

#ifndef RECORDS
#define RECORDS	3
#endif
#ifndef SLOTS
#define SLOTS	2		/* of a log */
#endif
#ifndef EXTENTS
#define EXTENTS	2
#endif
#define BUFFER	4		/* stores that can wait */

/* Places; 0: none. */
#define SENT	1
#define POPPED	2
#define TAKEN	3
#define RETURNED 4
#define SETTLED_SENT	5
#define SETTLED_RETURNED 6
#define ASLEEP	7		/* asleep_out, asleep_in: by processor */
#define STATE	9
#define LANE_ON	10		/* channel->lane_on */
#define HEAD	11		/* of the ring */
#define TAIL	12
#define MUTEX	13		/* lane_mutex */
#define SIDE	14		/* wr.mutex, rd.mutex: by processor */
#define LOCK	16		/* channel->lock */
#define SLOT	17		/* out->slots[]: extent */
#define OFFSET	19		/* in->offsets[]: likewise */
#define DATA	21		/* of an extent: number of its record */
#define PLACES	23

#define FROZEN	64

/* States of a lane: each more than the one before. */
#define OFFERED	1
#define ON	2
#define RETIRED	3

/* Processors, and queues of waiters: writers, readers. */
#define W	0		/* the producer's */
#define R	1		/* the consumer's */
#define O	2		/* somebody else's */

/* Who has an extent. */
#define FREE	0
#define OUT	1		/* the producer */
#define IN	2		/* the consumer */
#define SENDING	3		/* sent, not taken */
#define BACK	4		/* came back, and was not had again */

byte mem[PLACES];
byte place[2 * BUFFER];
byte value[2 * BUFFER];
byte waiting[2];
bool queue[2];
bool asleep[2];

/* What the kernel keeps. */
byte sent, taken, returned;
byte flying[SLOTS], back[SLOTS];
byte owner[EXTENTS];
byte in, out;			/* records that were counted */
byte ring[RECORDS];
bool here = true;		/* channel->lane */
bool ring_waits;		/* rd.waiting != rd.lane_waiting */
byte turn;			/* window->turn */

/* What both sides know together, for the assertions. */
byte has[EXTENTS];

bool done[3];

/* ----------------------------------------------------------------- memory */

#define RELAXED	0
#define RELEASE	32

/* In the order of the program, with what was released marked. Somebody else's are never late. */
inline put(p, l, v, release)
{
	atomic {
		if
		:: p == O -> mem[l] = v
		:: p != O && waiting[p] < BUFFER ->
			place[p * BUFFER + waiting[p]] = (l) + (release);
			value[p * BUFFER + waiting[p]] = v;
			waiting[p]++
		fi
	}
}

/* Within an atomic step. */
inline look_at(p, l, v)
{
	v = mem[l];
	i = 0;
	do
	:: p != O && i < waiting[p] ->
		if
		:: (place[p * BUFFER + i] & 31) == (l) -> v = value[p * BUFFER + i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0
}

inline get(p, l, v)
{
	d_step { look_at(p, l, v) }
}

#define nothing_waits(p)	((p) == O || !waiting[p])

inline smp_mb(p)
{
	nothing_waits(p)
}

/* A store to it is on its way: the place is that processor's. */
#define late_at(p, k, l)	((place[(p) * BUFFER + (k)] & 31) == (l))
#define late(p, l)	(late_at(p, 0, l) || late_at(p, 1, l) || late_at(p, 2, l) || late_at(p, 3, l))

#ifdef MUTANT_COUNT_RELAXED
#define COUNT_ORDER RELAXED
#else
#define COUNT_ORDER RELEASE
#endif

/* count() */
inline count(p, l, was, yes)
{
#ifdef MUTANT_COUNT_BLIND
	get(p, l, b);
	yes = (b == was);
	if
	:: yes -> put(p, l, was + 1, RELEASE)
	:: else
	fi;
	b = 0
#else
	atomic {
		!late(p, l) && waiting[p] < BUFFER;
		yes = (mem[l] == was);
		if
		:: yes -> put(p, l, was + 1, COUNT_ORDER)
		:: else
		fi
	}
#endif
}

/* index_freeze(), of what processor @q counts */
inline freeze(p, l, q, v)
{
	atomic {
#ifndef MUTANT_COUNT_BLIND
		!late(q, l);
#endif
		v = mem[l];
#ifndef MUTANT_NO_FREEZE
		mem[l] = v | FROZEN
#endif
	}
}

inline lock(l)
{
	atomic { mem[l] == 0; mem[l] = 1 }
}

inline spin_unlock(p, l)
{
	put(p, l, 0, RELEASE)
}

/* Of a mutex: a barrier here, since what follows has others. */
inline unlock(p, l)
{
	atomic { nothing_waits(p) -> mem[l] = 0 }
}

/* Any store that need not wait for one before it. */
proctype memory(byte p)
{
	byte i, k;

end:	do
	:: atomic {
		waiting[p] > 0;
		i = 0;
		do
		:: i + 1 < waiting[p] -> i++
		:: break
		od;
		k = 0;
		do
		:: k < i && !(place[p * BUFFER + i] & RELEASE) &&
		   (place[p * BUFFER + k] & 31) != (place[p * BUFFER + i] & 31) -> k++
		:: else -> break
		od;
		if
		:: k == i ->
			mem[place[p * BUFFER + i] & 31] = value[p * BUFFER + i];
			i++;
			do
			:: i < waiting[p] ->
				place[p * BUFFER + i - 1] = place[p * BUFFER + i];
				value[p * BUFFER + i - 1] = value[p * BUFFER + i];
				i++
			:: else -> break
			od;
			waiting[p]--;
			place[p * BUFFER + waiting[p]] = 0;
			value[p * BUFFER + waiting[p]] = 0
		:: else
		fi;
		i = 0;
		k = 0
	   }
	od
}

/* ---------------------------------------------------------------- waiting */

/* set_current_state() is a barrier. Who polls has another queue, woken with this one. */
inline prepare_to_wait(p)
{
	atomic { nothing_waits(p) -> queue[p] = true; asleep[p] = true }
}

inline schedule(p)
{
	!asleep[p]
}

inline finish_wait(p)
{
	atomic { queue[p] = false; asleep[p] = false }
}

/* By @by. Under the queue's lock: whoever queues afterwards sees what was done before. */
inline wake_up(by, p)
{
	atomic {
		nothing_waits(by) ->
		if
		:: queue[p] -> queue[p] = false; asleep[p] = false
		:: else
		fi
	}
}

/* ------------------------------------------------- settling, in lane_mutex */

/* lane_apply(), up to f_*: whatever of the three logs can be applied. */
inline lane_apply(p)
{
	d_step {
		do
		:: true ->
			any = false;
			if
			:: sent != f_sent && sent - taken < SLOTS ->
				look_at(p, SLOT + sent % SLOTS, a);
				if
				:: owner[a] == OUT ->
					owner[a] = SENDING;
					flying[sent % SLOTS] = a;
					sent++;
					in++;
					any = true
				:: else
				fi
			:: else
			fi;
			if
			:: taken != f_taken && taken != sent ->
				owner[flying[taken % SLOTS]] = IN;
				taken++;
				out++;
				any = true
			:: else
			fi;
			if
			:: returned != f_returned ->
				look_at(p, OFFSET + returned % SLOTS, a);
				if
				:: owner[a] == IN ->
					owner[a] = OUT;
					back[returned % SLOTS] = a;
					returned++;
					any = true
				:: else
				fi
			:: else
			fi;
			if
			:: any
			:: else -> break
			fi
		od;
		a = 0;
		any = false
	}
}

/* faasin_lane_look() */
inline lane_look(p)
{
	get(p, RETURNED, f_returned);
	get(p, TAKEN, f_taken);
	get(p, SENT, f_sent);
#ifdef MUTANT_SETTLED_EARLY
	atomic {
		put(p, SETTLED_SENT, f_sent, RELEASE);
		put(p, SETTLED_RETURNED, f_returned, RELEASE)
	}
	smp_mb(p);
#endif
	lane_apply(p);
#ifndef MUTANT_SETTLED_EARLY
	atomic {
		put(p, SETTLED_SENT, sent, RELEASE);
		put(p, SETTLED_RETURNED, returned, RELEASE)
	}
#endif
	d_step { f_returned = 0; f_taken = 0; f_sent = 0 }
}

/* lane_retire() */
inline lane_retire(p)
{
	freeze(p, SENT, W, f_sent);
	freeze(p, TAKEN, R, f_taken);
	freeze(p, RETURNED, R, f_returned);
#ifdef MUTANT_POPPED_UNFROZEN
	get(p, POPPED, f_popped);
#else
	freeze(p, POPPED, W, f_popped);
#endif
	smp_mb(p);
	lane_apply(p);
	d_step {
		/* lane_broken(): both went by the rules. */
		assert(sent == f_sent && taken == f_taken && returned == f_returned);
		assert(f_popped <= returned && returned - f_popped <= SLOTS);
		/* lane_free_idle() */
		do
		:: f_popped != returned ->
			a = back[f_popped % SLOTS];
			assert(owner[a] == OUT && has[a] == BACK);
			owner[a] = FREE;
			has[a] = FREE;
			f_popped++
		:: else -> break
		od;
		a = 0
	}
	lock(LOCK);
	atomic {
		/* lane_requeue() */
		look_at(p, HEAD, a);
		d_step {
			do
			:: taken != sent ->
				ring[a] = flying[taken % SLOTS];
				taken++;
				a++
			:: else -> break
			od
		}
		put(p, HEAD, a, RELAXED);
		put(p, LANE_ON, 0, RELEASE);
		spin_unlock(p, LOCK);
		here = false;
		turn++;
		a = 0;
		f_sent = 0;
		f_taken = 0;
		f_returned = 0;
		f_popped = 0
	}
	put(p, STATE, RETIRED, RELAXED);
	wake_up(p, R);
	wake_up(p, W)
}

/* faasin_lane_retire() */
inline retire(p)
{
	get(p, LANE_ON, a);
	if
	:: a ->
		a = 0;
		lock(MUTEX);
		get(p, LANE_ON, a);
		if
		:: a -> a = 0; lane_retire(p)
		:: else
		fi;
		unlock(p, MUTEX)
	:: else
	fi
}

/* lane_try(), in lane_mutex */
inline lane_try(p)
{
	atomic {
		look_at(p, LANE_ON, a);
		/* Both mutexes are only tried for. */
		b = (here && !a && !mem[SIDE + W] && !mem[SIDE + R]);
		a = 0;
		if
		:: b -> mem[SIDE + W] = 1; mem[SIDE + R] = 1
		:: else
		fi
	}
	if
	:: b ->
		lock(LOCK);
		atomic {
			/* lane_fits() */
			look_at(p, HEAD, a);
			look_at(p, TAIL, b);
			if
#ifdef MUTANT_ON_BESIDE_WAITERS
			:: a == b ->
#else
			:: a == b && !ring_waits ->
#endif
#ifndef MUTANT_ON_UNSAID
				put(p, ASLEEP + R, 1, RELAXED);
				put(p, ASLEEP + W, 1, RELAXED);
#endif
				put(p, LANE_ON, 1, RELAXED);
				put(p, STATE, ON, RELEASE)
			:: else
			fi;
			a = 0;
			b = 0
		}
		atomic { nothing_waits(p) -> mem[LOCK] = 0; mem[SIDE + W] = 0; mem[SIDE + R] = 0 }
	:: else
	fi
}

/* faasin_lane_try_now() */
inline lane_try_now(p)
{
	get(p, LANE_ON, a);
	if
	:: !a && here ->
		lock(MUTEX);
		lane_try(p);
		unlock(p, MUTEX)
	:: else -> a = 0
	fi
}

/* FAASIN_IOC_LANE_KICK: faasin_lane_kick() */
inline lane_kick(p, peer)
{
	lock(MUTEX);
	get(p, LANE_ON, a);
	if
	:: a ->
		a = 0;
		lane_look(p);
#ifndef MUTANT_KICK_CLEARS_LATE
		put(p, ASLEEP + peer, 0, RELAXED);
		smp_mb(p)
#endif
	:: else
	fi;
	unlock(p, MUTEX);
	wake_up(p, peer);
#ifdef MUTANT_KICK_CLEARS_LATE
	put(p, ASLEEP + peer, 0, RELAXED)
#endif
}

/* tell() */
inline tell(p, peer)
{
#ifndef MUTANT_TELL_WITHOUT_BARRIER
	smp_mb(p);
#endif
	get(p, ASLEEP + peer, a);
	if
	:: a -> a = 0; lane_kick(p, peer)
	:: else
	fi
}

/* room(), for one more behind @at */
inline room(p, peer, at, read, settled, yes)
{
	yes = true;
#ifndef MUTANT_ROOM_UNREAD
	get(p, read, a);
	yes = ((at) + 1 - (a & ~FROZEN) <= SLOTS);
	a = 0;
#endif
#ifndef MUTANT_ROOM_UNSETTLED
	if
	:: yes ->
		get(p, settled, a);
		if
		:: (at) + 1 - a > SLOTS ->
			a = 0;
			lane_kick(p, peer);
			get(p, settled, a);
			yes = ((at) + 1 - a <= SLOTS)
		:: else
		fi;
		a = 0
	:: else
	fi
#endif
}

/* lane_ready() */
inline lane_ready(p, yes)
{
	get(p, STATE, a);
	if
	:: a == RETIRED -> yes = true
	:: a != RETIRED && p == W ->
		get(p, RETURNED, a);
		get(p, POPPED, b);
		/* faasin_window_waits() */
		yes = ((a & ~FROZEN) != (b & ~FROZEN) || turn != was_turn)
	:: a != RETIRED && p == R ->
		get(p, LANE_ON, a);
		if
		:: a ->
			get(p, SENT, a);
			get(p, TAKEN, b)
		:: else ->
			get(p, HEAD, a);
			get(p, TAIL, b)
		fi;
		yes = ((a & ~FROZEN) != (b & ~FROZEN))
	fi;
	d_step { a = 0; b = 0 }
}

/* lane_sleep() */
inline lane_sleep(p)
{
	do
	:: prepare_to_wait(p);
		lane_ready(p, yes);
		if
		:: yes -> break
		:: else
		fi;
#ifndef MUTANT_SLEEP_UNSAID
		put(p, ASLEEP + p, 1, RELAXED);
#endif
#ifndef MUTANT_SLEEP_WITHOUT_BARRIER
		smp_mb(p);
#endif
#ifndef MUTANT_SLEEP_WITHOUT_LOCK
		lock(LOCK);
		spin_unlock(p, LOCK);
#endif
#ifndef MUTANT_SLEEP_WITHOUT_LOOK
		lane_ready(p, yes);
		if
		:: yes -> break
		:: else
		fi;
#endif
		schedule(p)
	od;
	finish_wait(p);
	yes = false
}

/* FAASIN_IOC_LANE_WAIT: faasin_lane_wait() */
inline lane_wait(p)
{
	/* lane_of() */
	lock(MUTEX);
	if
	:: here -> lane_try(p)
	:: else
	fi;
	yes = here;
	unlock(p, MUTEX);
	if
	:: yes -> yes = false; lane_sleep(p)
	:: else
	fi
}

/* ----------------------------------------------------------- the producer */

/* The first that is free, or EXTENTS. Within an atomic step. */
inline any_free(e)
{
	e = 0;
	do
	:: e < EXTENTS && owner[e] != FREE -> e++
	:: else -> break
	od
}

/* faasctl__lane_alloc(): @e, or EXTENTS. */
inline alloc_by_lane(e)
{
	e = EXTENTS;
	get(W, STATE, a);
	if
	:: a == ON ->
		get(W, POPPED, popped);
		get(W, RETURNED, b);
		if
		:: popped & FROZEN || popped == (b & ~FROZEN) -> b = 0
		:: else ->
			b = 0;
			get(W, OFFSET + popped % SLOTS, e);
			count(W, POPPED, popped, yes);
			atomic {
				if
				:: yes ->
					assert(has[e] == BACK);
					has[e] = OUT
				:: else -> e = EXTENTS
				fi;
				yes = false
			}
		fi
	:: else
	fi;
	d_step { a = 0; popped = 0 }
}

/* faasctl_window_alloc() */
inline window_alloc(e)
{
	do
	:: true ->
		alloc_by_lane(e);
		if
		:: e < EXTENTS -> break
		:: else
		fi;
		/* faasctl__lane_waits() */
		get(W, STATE, state);
		/* FAASIN_IOC_ALLOC */
		lane_try_now(W);
		get(W, LANE_ON, a);
		waits = (a && (state == OFFERED || state == ON));
		d_step {
			any_free(e);
			if
			:: e < EXTENTS ->
				assert(has[e] == FREE);
				owner[e] = OUT;
				has[e] = OUT
			:: else -> was_turn = turn
			fi;
			a = 0;
			state = 0
		}
		if
		:: e < EXTENTS -> break
		:: e == EXTENTS && waits -> lane_wait(W)
		:: e == EXTENTS && !waits ->
			/* alloc_without_lane(), wait_for_turn() */
			atomic { turn != was_turn || mem[LANE_ON] };
			retire(W)
		fi
	od;
	atomic { waits = false; was_turn = 0 }
}

/* faasctl__lane_send() */
inline send_by_lane(e, yes)
{
	yes = false;
	get(W, STATE, a);
	if
	:: a == ON ->
		get(W, SENT, at);
		if
		:: at & FROZEN
		:: else -> room(W, R, at, TAKEN, SETTLED_SENT, yes)
		fi
	:: else
	fi;
	a = 0;
	if
	:: yes ->
		atomic { put(W, SLOT + at % SLOTS, e, RELAXED); has[e] = SENDING }
		count(W, SENT, at, yes);
		if
		:: yes -> tell(W, R)
		:: else -> has[e] = OUT
		fi
	:: else
	fi;
	at = 0
}

/* FAASIN_IOC_SEND */
inline send_by_call(e)
{
	lock(SIDE + W);
#ifndef MUTANT_SEND_UNRETIRED
	retire(W);
#endif
	lock(LOCK);
	atomic {
		assert(owner[e] == OUT && has[e] == OUT);
		owner[e] = SENDING;
		has[e] = SENDING;
		in++;
		look_at(W, HEAD, a);
		ring[a] = e;
		put(W, HEAD, a + 1, RELEASE);
		a = 0;
		spin_unlock(W, LOCK)
	}
	/* wake_after_write() */
	if
	:: queue[R] -> wake_up(W, R)
	:: else
	fi;
	unlock(W, SIDE + W)
}

proctype producer()
{
	byte i, a, b, f_sent, f_taken, f_returned, f_popped;
	byte at, e, popped, state, was_turn, record;
	bool any, yes, waits;

	do
	:: record < RECORDS ->
		window_alloc(e);
		record++;
		put(W, DATA + e, record, RELAXED);
		send_by_lane(e, yes);
		if
		:: yes -> yes = false
		:: else -> send_by_call(e)
		fi;
		e = 0
	:: else -> break
	od;
	/* It goes at once, or waits for what was received: then nothing wakes anybody by mistake. */
	if
	:: true -> done[R]
	:: true
	fi;
	/* faasin_lane_leave() */
	lock(MUTEX);
	if
	:: here ->
		get(W, LANE_ON, a);
		if
		:: a -> a = 0; lane_retire(W)
		:: else ->
			put(W, STATE, RETIRED, RELAXED);
			here = false;
			wake_up(W, R)
		fi
	:: else
	fi;
	unlock(W, MUTEX);
	done[W] = true
}

/* ----------------------------------------------------------- the consumer */

/* receive(): @e, or EXTENTS. */
inline receive(e)
{
	e = EXTENTS;
	get(R, STATE, a);
	if
	:: a == ON ->
		get(R, TAKEN, at);
		get(R, SENT, b);
		if
		:: at & FROZEN || at == (b & ~FROZEN) -> b = 0
		:: else ->
			b = 0;
			get(R, SLOT + at % SLOTS, e);
			count(R, TAKEN, at, yes);
			atomic {
				if
				:: yes ->
					assert(has[e] == SENDING);
					has[e] = IN;
					by_lane = true
				:: else -> e = EXTENTS
				fi;
				yes = false
			}
		fi
	:: else
	fi;
	d_step { a = 0; at = 0 }
}

/* FAASIN_IOC_TAKE: faasin_channel_take() */
inline take_by_call(e)
{
	lock(SIDE + R);
	do
	:: true ->
		retire(R);
		get(R, HEAD, a);
		get(R, TAIL, b);
		if
		:: a != b ->
			atomic {
				e = ring[b];
				assert(owner[e] == SENDING && has[e] == SENDING);
				owner[e] = IN;
				has[e] = IN;
				out++;
				put(R, TAIL, b + 1, RELEASE);
				by_lane = false;
				a = 0;
				b = 0
			}
			break
		:: else ->
			a = 0;
			b = 0;
			/* faasin_ring_wait_for_data() */
			atomic { mem[LOCK] == 0; ring_waits = true }
			unlock(R, SIDE + R);
			do
			:: prepare_to_wait(R);
				lock(LOCK);
				spin_unlock(R, LOCK);
				get(R, HEAD, a);
				get(R, TAIL, b);
				if
				:: a != b -> break
				:: else -> schedule(R)
				fi
			od;
			finish_wait(R);
			d_step { a = 0; b = 0 }
			atomic { mem[LOCK] == 0; ring_waits = false }
			lock(SIDE + R)
		fi
	od;
	unlock(R, SIDE + R)
}

/* poll(), before anything is asked for: faasin_stream_poll() */
inline poll_input()
{
	do
	:: prepare_to_wait(R);
		get(R, LANE_ON, a);
		if
		:: a ->
			/* faasin_lane_poll_now() */
			lock(MUTEX);
			get(R, LANE_ON, a);
			if
			:: a ->
				a = 0;
#ifndef MUTANT_POLL_UNSAID
				put(R, ASLEEP + R, 1, RELAXED);
#endif
#ifndef MUTANT_POLL_WITHOUT_BARRIER
				smp_mb(R);
#endif
				lane_look(R)
			:: else
			fi;
			unlock(R, MUTEX)
		:: else
		fi;
		/* input_poll() */
		lock(LOCK);
		get(R, HEAD, a);
		get(R, TAIL, b);
		yes = (a != b || sent != taken);
		d_step { a = 0; b = 0 }
		spin_unlock(R, LOCK);
		if
		:: yes -> break
		:: else -> schedule(R)
		fi
	od;
	finish_wait(R);
	yes = false
}

/* faasctl_window_receive() */
inline window_receive(e)
{
	do
	:: true ->
#ifdef POLLING
		poll_input();
#endif
		receive(e);
		if
		:: e < EXTENTS -> break
		:: else
		fi;
		/* faasctl__lane_waits() */
		get(R, STATE, a);
		if
		:: a == ON || a == OFFERED ->
			a = 0;
#ifndef POLLING
			lane_wait(R);
#endif
			get(R, STATE, a);
			if
			:: a == ON -> a = 0
			:: else -> a = 0; take_by_call(e); break
			fi
#ifdef MIXED
		/* Who does not wait by a lane retires it. */
		:: true -> a = 0; take_by_call(e); break
#endif
		:: else -> a = 0; take_by_call(e); break
		fi
	od
}

/* faasctl__lane_release() */
inline release_by_lane(e, yes)
{
	yes = false;
	get(R, STATE, a);
	if
	:: a == ON && by_lane ->
		get(R, RETURNED, at);
		if
		:: at & FROZEN
		:: else -> room(R, W, at, POPPED, SETTLED_RETURNED, yes)
		fi
	:: else
	fi;
	a = 0;
	if
	:: yes ->
		atomic { put(R, OFFSET + at % SLOTS, e, RELAXED); has[e] = BACK }
		count(R, RETURNED, at, yes);
		if
		:: yes -> tell(R, W)
		:: else -> has[e] = IN
		fi
	:: else
	fi;
	at = 0
}

/* FAASIN_IOC_RETURN */
inline return_by_call(e)
{
#ifndef MUTANT_RETURN_UNSETTLED
	/* faasin_lane_settle() */
	get(R, LANE_ON, a);
	if
	:: a ->
		lock(MUTEX);
		get(R, LANE_ON, a);
		if
		:: a -> a = 0; lane_look(R)
		:: else
		fi;
		unlock(R, MUTEX)
	:: else
	fi;
#endif
	d_step {
		assert(owner[e] == IN && has[e] == IN);
		owner[e] = FREE;
		has[e] = FREE;
		turn++
	}
	wake_up(R, W);
	lane_try_now(R)
}

proctype consumer()
{
	byte i, a, b, f_sent, f_taken, f_returned, f_popped;
	byte at, e, record, was_turn;
	bool any, yes, by_lane;

	do
	:: record < RECORDS ->
		window_receive(e);
		record++;
		get(R, DATA + e, a);
		assert(a == record);
		release_by_lane(e, yes);
		if
		:: yes -> yes = false
		:: else -> return_by_call(e)
		fi;
		d_step { e = 0; by_lane = false }
	:: else -> break
	od;
	done[R] = true
}

/* ---------------------------------------------------------- somebody else */

proctype other()
{
	byte i, a, b, f_sent, f_taken, f_returned, f_popped;
	bool any;

	if
#ifdef SETTLING
	:: true ->
		/* faasin_lane_settle_now() */
		lock(MUTEX);
		get(O, LANE_ON, a);
		if
		:: a -> a = 0; lane_look(O)
		:: else
		fi;
		unlock(O, MUTEX)
#else
	:: true -> retire(O)
#endif
	:: true
	fi;
	done[O] = true
}

init {
	atomic {
		mem[STATE] = OFFERED;
		run memory(W);
		run memory(R);
		run producer();
		run consumer();
		run other()
	}
	done[W] && done[R] && done[O] && !waiting[W] && !waiting[R];
	d_step {
		assert(in == RECORDS && out == RECORDS);
		assert(owner[0] == FREE && has[0] == FREE);
		assert(owner[EXTENTS - 1] == FREE && has[EXTENTS - 1] == FREE)
	}
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two cursors of a channel, for Spin: every order of steps of one producer, one consumer and
 * the memory between them. channel.h has the protocol; each inline names the function that it
 * stands for. One stream ends, and one follows that goes on: nothing wakes whoever sleeps by mistake.
 * The channel has two blocks.
 *
 * Memory: a store waits in its processor's buffer. One with release stays behind all stores
 * before it; any other may overtake them, but not one to the same place. Loads happen in order (what
 * they may overtake is ThreadSanitizer's part: stress.c). A barrier waits until the buffer is
 * empty. Locks order as little as acquire and release do. Where two sides change one counter or list,
 * each has a place of its own here, so that what they do can be late, too.
 *
 * What is shown: each byte is read once, in order and as written (asserted); no stream
 * runs into the next; what is in use never exceeds the capacity; nobody sleeps for
 * what is there (a state in which nothing can go on). No look at the clock is
 * modelled: the writers' tenth of a second would hide what is lost.
 *
 * Mutants, for which it must fail, are chosen by -D (userspace/run has the list).
 */

#ifndef BLOCK
#define BLOCK	2		/* bytes; a write that goes in together has as many at most */
#endif
#ifndef LENGTH
#define LENGTH	4		/* bytes of both streams */
#endif
#ifndef FIRST
#define FIRST	1		/* of these, of the first stream */
#endif
#define BLOCKS	2
#define CAPACITY (BLOCK * BLOCKS)
#define BUFFER	7		/* stores that can wait */

/* Places. */
#define HEAD	0
#define QUEUED	1
#define SPACE	2
#define TAIL	3
#define DRAINED	4
#define TAKEN	5		/* held = TAKEN - GIVEN */
#define GIVEN	6
#define FULL	7
#define STATE	8		/* of both streams */
#define END	10		/* likewise */
#define SEG	12		/* ring: block * 16 + begin */
#define FREE	14		/* empty blocks */
#define DATA	16
#define LOCK	20		/* channel->lock */
#define WQ_LOCK	21		/* of the three queues */
#define PLACES	24

#define LIVE	0
#define ENDED	1

/* Processors. */
#define W	0		/* the producer's */
#define R	1		/* the consumer's */

/* Queues of waiters. */
#define READERS	0
#define WRITERS	1
#define POLLERS	2		/* for room */

byte mem[PLACES];
byte place[2 * BUFFER];
byte value[2 * BUFFER];
byte waiting[2];
bool queue[3];
bool asleep[2];

/* ----------------------------------------------------------------- memory */

/* In the order of the program, with what was released marked. */
inline put(p, l, v, release)
{
	atomic {
		waiting[p] < BUFFER;
		place[p * BUFFER + waiting[p]] = (l) + (release);
		value[p * BUFFER + waiting[p]] = v;
		waiting[p]++
	}
}

#define RELAXED	0
#define RELEASE	32

inline get(p, l, v)
{
	d_step {
		v = mem[l];
		i = 0;
		do
		:: i < waiting[p] ->
			if
			:: (place[p * BUFFER + i] & 31) == (l) -> v = value[p * BUFFER + i]
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	}
}

inline smp_mb(p)
{
	waiting[p] == 0
}

inline spin_lock(p)
{
	atomic { mem[LOCK] == 0; mem[LOCK] = 1 }
}

inline spin_unlock(p)
{
	put(p, LOCK, 0, RELEASE)
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

/* set_current_state() is a barrier. */
inline prepare_to_wait(p, q)
{
	atomic { waiting[p] == 0 && mem[WQ_LOCK + q] == 0; queue[q] = true; asleep[p] = true }
}

inline schedule(p)
{
	!asleep[p]
}

inline finish_wait(p, q)
{
	atomic { queue[q] = false; asleep[p] = false }
}

/* By @by: what it did before is seen by whoever queues afterwards. */
inline wake_up(by, p, q)
{
	atomic {
		mem[WQ_LOCK + q] == 0;
		mem[WQ_LOCK + q] = 1;
		if
		:: queue[q] -> queue[q] = false; asleep[p] = false
		:: else
		fi
	}
	put(by, WQ_LOCK + q, 0, RELEASE)
}

/* faasin_ring_has_room(); @need is 1 or 2. pool->starved is not modelled. */
inline has_room(p, need, yes)
{
	get(p, TAIL, a);
	get(p, HEAD, b);
	if
	:: a == b -> yes = true
	:: else ->
		get(p, SPACE, a);
		get(p, TAKEN, b);
		a = a + CAPACITY - b;
		get(p, GIVEN, b);
		yes = a + b >= (need)
	fi;
	a = 0;
	b = 0
}

/* ----------------------------------------------------------- the producer */

#define last_space()	(w_last -> BLOCK - (w_head - w_begin) : 0)

/* copy_in(): a byte is its position, and one. */
inline copy_in()
{
	k = 0;
	do
	:: k < n && k < space ->
		put(W, DATA + w_block * BLOCK + w_head - w_begin + k, w_head + k + 1, RELAXED);
		k++
	:: k < n && k >= space ->
		put(W, DATA + next * BLOCK + k - space, w_head + k + 1, RELAXED);
		k++
	:: k == n -> break
	od
}

/* channel_fill(): how much of @want went in, in @n. */
inline channel_fill(want, whole)
{
	/* ring_start_over() */
	get(W, DRAINED, a);
	atomic {
#ifdef MUTANT_START_OVER
		a = w_head;
#endif
		if
		:: a == w_head && w_last ->
			w_begin = w_head;
			put(W, SEG + ((w_queued - 1) & 1), w_block * 16 + w_begin, RELAXED)
		:: else
		fi;
		space = last_space();
		next = BLOCKS;
		n = (want);
	}
	if
	:: (whole && space < (want)) || !space ->
		/* block_take(): faasin_pool_take() */
		get(W, GIVEN, a);
		if
		:: w_taken - a == CAPACITY -> n = 0
		:: else ->
			get(W, FREE, a);
			get(W, FREE + 1, b);
			atomic {
				if
				:: a -> next = 0
				:: b -> next = 1
				fi;
				/* At once, as what changes memory in one step is. */
				mem[FREE + next] = 0;
				w_taken = w_taken + BLOCK;
				mem[TAKEN] = w_taken
			}
		fi
	:: else
	fi;
	if
	:: n ->
		atomic {
			if
			:: n > space && next == BLOCKS -> n = space
			:: else
			fi;
#ifndef MUTANT_COPY_LATE
			copy_in()
#endif
		}
		publish();
		atomic {
#ifdef MUTANT_COPY_LATE
			copy_in();
#endif
			if
			:: next < BLOCKS ->
				w_last = true;
				w_block = next;
				w_begin = w_head + (n < space -> n : space);
				w_queued++
			:: else
			fi;
			w_head = w_head + n
		}
	:: else
	fi;
	d_step { a = 0; b = 0; k = 0; next = 0; space = 0 }
}

#ifdef MUTANT_HEAD_RELAXED
#define HEAD_ORDER RELAXED
#else
#define HEAD_ORDER RELEASE
#endif
#ifdef MUTANT_QUEUED_RELAXED
#define QUEUED_ORDER RELAXED
#else
#define QUEUED_ORDER RELEASE
#endif

/* What one processor stores in a row goes into its buffer at once: nobody sees a difference. */
inline publish()
{
	spin_lock(W);
	atomic {
#ifdef MUTANT_HEAD_FIRST
		put(W, HEAD, w_head + n, RELEASE);
#endif
		k = (n < space -> n : space);
		if
		:: next < BLOCKS ->
			/* ring_append() */
			put(W, SEG + (w_queued & 1), next * 16 + w_head + k, RELAXED);
			put(W, QUEUED, w_queued + 1, QUEUED_ORDER)
		:: else
		fi;
#ifndef MUTANT_HEAD_FIRST
		put(W, HEAD, w_head + n, HEAD_ORDER);
#endif
		k = (next < BLOCKS -> BLOCK - (n - k) : space - n);
		put(W, SPACE, k, RELAXED);
		spin_unlock(W)
	}
}

inline wake_after_write()
{
	if
	:: queue[READERS] -> wake_up(W, R, READERS)
	:: else
	fi
}

/* faasin_channel_has_room() */
inline channel_has_room(need, yes)
{
	has_room(W, need, yes);
	if
	:: yes
	:: else ->
		put(W, FULL, 1, RELAXED);
#ifndef MUTANT_MARK_WITHOUT_BARRIER
		smp_mb(W);
#endif
#ifndef MUTANT_MARK_WITHOUT_LOOK
		has_room(W, need, yes)
#endif
	fi
}

/* faasin_stream_finish(), stream_said() */
inline finish_stream(s)
{
	spin_lock(W);
	put(W, END + s, w_head, RELAXED);
	put(W, STATE + s, ENDED, RELEASE);
	spin_unlock(W);
	wake_up(W, R, READERS)
}

/* faasin_channel_write(), over and over. A write is of one or two bytes, all or in parts. */
proctype producer()
{
	/* Of the channel, what nobody else reads; w_last: ch->last is set. */
	byte w_head, w_queued, w_begin, w_block, w_taken;
	bool w_last;
	byte i, a, b, k, n, space, next, want, stream, left = FIRST;
	bool yes, whole;

	do
	:: left ->
		if
		:: want = 1
		:: left > 1 && BLOCK > 1 -> want = 2
		fi;
		if
		:: whole = true
		:: want > 1 -> whole = false
		fi;
		do
		:: want ->
			channel_fill(want, whole);
			if
			:: n ->
				left = left - n;
				want = want - n;
				n = 0;
				wake_after_write()
			:: else ->
				if
#ifndef POLLING
				:: true ->
					/* wait_for_room() */
					n = (whole -> want : 1);
					do
					:: prepare_to_wait(W, WRITERS);
						has_room(W, n, yes);
						if
						:: yes -> break
						:: else -> schedule(W)
						fi
					od;
					finish_wait(W, WRITERS)
#else
				:: true ->
					/* EAGAIN, and poll(): faasin_stream_poll() */
					channel_has_room(BLOCK, yes);
					do
					:: yes -> break
					:: else ->
						prepare_to_wait(W, POLLERS);
						channel_has_room(BLOCK, yes);
						if
						:: yes
						:: else -> schedule(W)
						fi
					od;
					finish_wait(W, POLLERS)
#endif
				fi;
				yes = false;
				n = 0
			fi
		:: else -> break
		od
	:: !left && stream == 0 ->
		finish_stream(0);
		stream = 1;
		left = LENGTH - FIRST
	:: !left && stream == 1 -> break
	od
}

/* ----------------------------------------------------------- the consumer */

/* segment_at(): gives back what lies before @pos, and leaves the segment in @seg. */
inline segment_at(pos)
{
	do
	:: r_done != r_queued_known && r_done + 1 != r_queued_known ->
		/* segment_over() */
		get(R, SEG + ((r_done + 1) & 1), a);
		if
		:: (a & 15) <= (pos) ->
			get(R, SEG + (r_done & 1), b);
			/* faasin_pool_put() */
			atomic {
				put(R, FREE + b / 16, 1, RELEASE);
				r_given = r_given + BLOCK;
				put(R, GIVEN, r_given, RELEASE);
				r_done++
			}
		:: else -> break
		fi
	:: else -> break
	od;
	get(R, SEG + (r_done & 1), seg);
	if
	:: r_done != r_queued_known && r_done + 1 != r_queued_known ->
		get(R, SEG + ((r_done + 1) & 1), a);
		limit = ((a & 15) < limit -> (a & 15) : limit)
	:: else
	fi;
	a = 0;
	b = 0
}

inline look()
{
	get(R, QUEUED, r_queued_known)
}

inline wake_after_read()
{
	/* wq_has_sleeper() */
#ifndef MUTANT_WAKE_WITHOUT_BARRIER
	smp_mb(R);
#endif
	sleeps = queue[WRITERS];
	get(R, FULL, marked);
	if
	:: sleeps ->
		get(R, HEAD, a);
		if
		:: a == r_tail -> a = CAPACITY
		:: else ->
			get(R, TAKEN, a);
			a = CAPACITY - (a - r_given)
		fi;
		if
		:: a >= CAPACITY / 2 -> wake_up(R, W, WRITERS)
		:: else
		fi
	:: else
	fi;
	if
	:: marked ->
		has_room(R, BLOCK, sleeps);
		if
		:: sleeps ->
			put(R, FULL, 0, RELAXED);
			wake_up(R, W, POLLERS)
		:: else
		fi
	:: else
	fi;
	d_step { a = 0; sleeps = false; marked = 0 }
}

/* stream_limit() */
inline stream_limit(s)
{
#ifdef MUTANT_STATE_FIRST
	get(R, STATE + s, state);
	get(R, HEAD, limit);
#else
	get(R, HEAD, limit);
	get(R, STATE + s, state);
#endif
	if
	:: state == LIVE
	:: else -> get(R, END + s, limit)
	fi
}

/* channel_drain(): bytes in @n; 0: none yet, or the end, as @state says. */
inline channel_drain(want, s)
{
	n = 0;
	state = LIVE;
	if
	:: r_tail < r_head_known -> n = 1
	:: else ->
#ifdef MUTANT_LOOK_FIRST
		look();
#endif
		stream_limit(s);
		if
		:: r_tail >= limit
		:: else ->
#ifndef MUTANT_LOOK_FIRST
			look();
#endif
			r_head_known = limit;
			n = 1
		fi
	fi;
	if
	:: n ->
		state = LIVE;
		was = r_done;
		limit = r_head_known;
		segment_at(r_tail);
		n = (limit - r_tail < (want) -> limit - r_tail : (want));
#ifdef MUTANT_DRAINED_EARLY
		put(R, DRAINED, r_tail + n, RELEASE);
#endif
		/* copy_out() */
		k = 0;
		do
		:: k < n ->
			get(R, DATA + (seg / 16) * BLOCK + r_tail + k - (seg & 15), a);
			assert(a == r_tail + k + 1);
			k++
		:: else -> break
		od;
		k = 0;
		r_tail = r_tail + n;
		if
		:: r_tail == limit ->
			if
			:: r_tail == r_head_known && r_tail - (seg & 15) == BLOCK -> look()
			:: else
			fi;
			segment_at(r_tail)
		:: else
		fi;
		/* tail_set() */
		atomic {
			put(R, TAIL, r_tail, RELEASE);
			if
			:: r_tail == r_head_known -> put(R, DRAINED, r_tail, RELEASE)
			:: else
			fi
		}
		if
		:: was != r_done || r_tail == r_head_known -> wake_after_read()
		:: else
		fi;
		was = 0
	:: else
	fi;
	d_step { a = 0; seg = 0; limit = 0 }
}

/* Nothing yet: wait_for_data(), input_poll(). */
inline wait_for_data(s)
{
	do
	:: prepare_to_wait(R, READERS);
#ifndef MUTANT_NO_LOCK
		spin_lock(R);
		spin_unlock(R);
#endif
		/* faasin_ring_data_ready() */
		stream_limit(s);
		if
		:: limit > r_tail || state != LIVE -> break
		:: else -> schedule(R)
		fi
	od;
	finish_wait(R, READERS);
	limit = 0;
	state = LIVE
}

/* faasin_channel_read(), over and over: a session a stream. */
proctype consumer()
{
	/* Of the channel, what nobody else reads. */
	byte r_tail, r_head_known, r_queued_known, r_done, r_given;
	byte i, a, b, k, n, seg, limit, was, state, marked, stream, want;
	bool sleeps;

	do
	:: r_tail < LENGTH || stream == 0 ->
		if
		:: want = 1
		:: BLOCK > 1 -> want = 2
		fi;
		channel_drain(want, stream);
		if
		:: n -> assert(r_tail <= (stream -> LENGTH : FIRST))
		:: !n && state == LIVE -> wait_for_data(stream)
		:: !n && state == ENDED ->
			assert(stream == 0 && r_tail == FIRST);
			state = LIVE;
			stream = 1
		fi;
		n = 0;
		want = 0
	:: else -> break
	od
}

init {
	atomic {
		mem[FREE] = 1;
		mem[FREE + 1] = 1;
		run memory(W);
		run memory(R);
		run producer();
		run consumer()
	}
}

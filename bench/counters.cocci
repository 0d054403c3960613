// The module without the counters that are always on: those of calls, wake-ups, waits,
// streams, drops and ways, the most that was held, and memory over time. What the module
// itself goes by (positions, sizes of pools, streams that are queued) stays.
// bench/counters measures both.

@ calls @
expression E;
@@
- if (E)
- 	\(ch->wr.calls++;\|ch->rd.calls++;\)

@ otherwise @
expression E;
statement S;
@@
  if (E) S
- else
- 	ch->rd.wakes_avoided++;

@ counters @
@@
(
- ch->wr.calls++;
|
- ch->wr.blocks++;
|
- ch->rd.blocks++;
|
- ch->wr.wakes++;
|
- ch->rd.wakes++;
|
- ch->wr.wakes_avoided++;
|
- ch->rd.wakes_avoided++;
|
- ch->early++;
|
- ch->ended++;
|
- ch->aborted++;
)

@ sums @
expression E;
@@
(
- ch->wr.moved += E;
|
- ch->rd.moved += E;
|
- ch->discarded += E;
|
- ch->swallowed += E;
)

@ peak @
expression E;
@@
- note_held(ch, E);

@ waits @
expression S;
@@
- S->waiting++;
- *since = ktime_get_ns();
- S->blocked_ns -= *since;
+ *since = 0;

@ waited @
expression S;
identifier now;
@@
- spin_lock(&ch->lock);
- S->waiting--;
- now = ktime_get_ns();
- S->blocked_ns += now;
- spin_unlock(&ch->lock);
+ now = 0;

@ memory @
identifier pool, now, what, by;
@@
- spin_lock(&pool->size_lock);
- now = pool_now_ms();
- pool->kib_ms = pool_kib_ms(pool, now);
- pool->resized_ms = now;
  *what += by;
- spin_unlock(&pool->size_lock);

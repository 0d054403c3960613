// SPDX-License-Identifier: GPL-2.0
/* No function: it has no faas_main. */
const int fass_main = 1;

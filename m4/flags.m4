dnl SPDX-License-Identifier: MIT
dnl Compiler and linker flags that are used only where they are accepted.

dnl ND_CFLAG(VARIABLE, FLAG): adds FLAG to VARIABLE if the compiler takes it without a warning.
AC_DEFUN([ND_CFLAG],
[AS_VAR_PUSHDEF([nd_ok], [nd_cv_cflag_$2])
AC_CACHE_CHECK([whether $CC accepts $2], [nd_ok],
  [nd_saved_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE(
    [AC_LANG_PROGRAM([[#include <string.h>]], [[char text[8]; return memset(text, 0, 8) != text;]])],
    [AS_VAR_SET([nd_ok], [yes])],
    [AS_VAR_SET([nd_ok], [no])])
  CFLAGS=$nd_saved_CFLAGS])
AS_VAR_IF([nd_ok], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([nd_ok])])

dnl ND_LDFLAG(VARIABLE, FLAG): the same for a linker flag.
AC_DEFUN([ND_LDFLAG],
[AS_VAR_PUSHDEF([nd_ok], [nd_cv_ldflag_$2])
AC_CACHE_CHECK([whether the linker accepts $2], [nd_ok],
  [nd_saved_LDFLAGS=$LDFLAGS
  LDFLAGS="$LDFLAGS -Werror $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
    [AS_VAR_SET([nd_ok], [yes])],
    [AS_VAR_SET([nd_ok], [no])])
  LDFLAGS=$nd_saved_LDFLAGS])
AS_VAR_IF([nd_ok], [yes], [AS_VAR_APPEND([$1], [" $2"])])
AS_VAR_POPDEF([nd_ok])])

dnl ND_NEED_LIB(VARIABLE, HEADER, LIBRARY, FUNCTION, DEBIAN-PACKAGE): a library without a pkg-config file.
AC_DEFUN([ND_NEED_LIB],
[AC_CHECK_HEADER([$2], [], [AC_MSG_ERROR([<$2> is missing (Debian: $5)])])
AC_CHECK_LIB([$3], [$4], [$1=-l$3], [AC_MSG_ERROR([lib$3 is missing (Debian: $5)])])
AC_SUBST([$1])])

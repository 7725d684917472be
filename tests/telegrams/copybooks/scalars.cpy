      * Every kind of elementary item, once or more.
       01  SCALARS.
           05  TEXT-X                  PIC X(10).
           05  TEXT-A                  PIC A(5).
           05  TEXT-9X                 PIC XX99.
           05  TEXT-RIGHT              PIC X(8) JUST RIGHT.
           05  DIGITS-5                PIC 9(5).
           05  DIGITS-V                PIC 9(3)V99.
           05  DIGITS-ALL-V            PIC V9(4).
           05  DIGITS-18               PIC 9(18).
           05  DIGITS-31               PIC 9(31).
           05  DIGITS-BLANK            PIC 9(5) BLANK WHEN ZERO.
           05  DIGITS-PV               PIC PPP9(5).
           05  DIGITS-VP               PIC VPP99.
           05  DIGITS-9P               PIC 9(5)PPP.
           05  ZONED-5                 PIC S9(5).
           05  ZONED-V                 PIC S9(3)V99.
           05  ZONED-1                 PIC S9.
           05  ZONED-SP                PIC SPPP9(5).
           05  ZONED-LEAD              PIC S9(4) SIGN LEADING.
           05  ZONED-TRAIL             PIC S9(4) SIGN IS TRAILING.
           05  ZONED-SEP-LEAD          PIC S9(4)V9 LEADING SEPARATE.
           05  ZONED-SEP-TRAIL         PIC S9(4) SIGN TRAILING
                                        SEPARATE CHARACTER.
           05  PACKED-ODD              PIC S9(5) COMP-3.
           05  PACKED-EVEN             PIC S9(4)V99 COMP-3.
           05  PACKED-UNSIGNED         PIC 9(7) PACKED-DECIMAL.
           05  PACKED-18               PIC S9(16)V99 COMP-3.
           05  PACKED-31               PIC S9(31) COMP-3.
           05  PACKED-6-EVEN           PIC 9(4) COMP-6.
           05  PACKED-6-ODD            PIC 9(5)V99 COMP-6.
           05  BINARY-1                PIC S9 COMP.
           05  BINARY-2                PIC 9(2) COMP.
           05  BINARY-3                PIC S9(3) COMP-4.
           05  BINARY-4                PIC 9(4) BINARY.
           05  BINARY-5                PIC S9(5) COMP.
           05  BINARY-6                PIC 9(6) COMP.
           05  BINARY-7                PIC S9(5)V99 COMP.
           05  BINARY-8                PIC 9(8) COMP.
           05  BINARY-9                PIC S9(9) COMP.
           05  BINARY-10               PIC 9(10) COMP.
           05  BINARY-12               PIC S9(12) COMP.
           05  BINARY-14               PIC 9(14) COMP.
           05  BINARY-16               PIC S9(14)V99 COMP.
           05  BINARY-18               PIC S9(18) COMPUTATIONAL.
           05  BINARY-P                PIC S9(5)PPP COMP.
           05  EDITED-Z                PIC Z(8)9.99-.
           05  EDITED-COMMA            PIC ZZZ,ZZ9.99.
           05  EDITED-FLOAT            PIC ----,--9.
           05  EDITED-PLUS             PIC +(6)9.
           05  EDITED-DOLLAR           PIC $$$,$$9.99CR.
           05  EDITED-STAR             PIC **,**9.99DB.
           05  EDITED-POINT            PIC 9(8).9(2).
           05  EDITED-SLASH            PIC 99/99/9999.
           05  EDITED-BLANK            PIC ZZZ9.99 BLANK WHEN ZERO.
           05  EDITED-SIGN             PIC +999.
           05  EDITED-ZERO             PIC Z(5)-.
           05  FILLER                  PIC X(3).

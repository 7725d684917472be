000100* COPY with REPLACING, continued lines, small letters, remarks.    COPYING
000200 01  COPYING-RECORD.                                              COPYING
000300     COPY "address.cpy" REPLACING ==:TAG:== BY ==HOME==           COPYING
000400         LEADING ==OLD== BY ==HOME==.                             COPYING
000500     copy "address.cpy" replacing ==:TAG:== by ==WORK==           COPYING
000600         ==OLD-ZIP             PIC X(5)== by ==WORK-ZIP PIC 9(7)==COPYING
000700         OLD-FEE by WORK-FEE.                                     COPYING
000800/    A new page of the listing.                                   COPYING
000900     05  small-letters           pic x(03).  *> remark            COPYING
001000     05  PLAIN-BINARY            PIC S9(4) BINARY.                COPYING
001100D    05  DEBUGGING-LINE          PIC X(30).                       COPYING
001200     05  A-NAME-THAT-GO                                           COPYING
001300-    ES-ON                       PIC X(2).                        COPYING
001400     05  VALUE-TEXT              PIC X(48) VALUE 'A literal that gCOPYING
001500-    'oes on in the next line'.                                   COPYING
